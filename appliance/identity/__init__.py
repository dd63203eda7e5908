"""Who this station is: its key, its claim card and its credentials, on disk."""
