"""Facts about the computer and about the program, for pages and heartbeats."""
