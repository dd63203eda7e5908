"""Faults of the network between a real station and a real cloud, each in a network namespace of its own."""
