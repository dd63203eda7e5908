"""Registration at the real cloud, beside the bare cryptography."""
