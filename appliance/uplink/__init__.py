"""Everything the station says to the cloud."""
