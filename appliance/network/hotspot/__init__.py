"""What a phone gets on the hotspot beside the radio: an address, one answer to all names, and no way on."""
