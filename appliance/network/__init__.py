"""The station's way to the world: the network port, its simulated radio, verdicts, quality and recovery."""
