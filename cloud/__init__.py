"""The minimal cloud: claims, certificates, events, heartbeats, configuration and the fleet page."""

__version__ = "0.1.0"
