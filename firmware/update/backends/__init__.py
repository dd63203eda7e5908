"""What stands behind the port of the agent: versions in plain folders, and a fake."""
