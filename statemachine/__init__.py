"""The life of a device as an explicit state machine. Pure: no I/O and no clock."""
