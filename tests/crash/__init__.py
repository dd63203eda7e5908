"""The crash matrix: a station is killed before and after every step of an event's road."""
