"""The support bundle: a redacted file for whoever helps. `bundle.py` packs, `redact.py` hides."""
