"""Mail to persons: how it leaves, and what it says. Who gets what is decided elsewhere."""
