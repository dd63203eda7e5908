"""All that a person sees in a browser at the station."""
