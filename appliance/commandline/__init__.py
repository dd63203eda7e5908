"""The commands of `meteor-appliance`, one idea per module."""
