"""The device daemon: composes the other rooms and says what the device does in each state."""

__version__ = "0.1.0"
