"""The service runs."""

from __future__ import annotations

from firmware.update.sight import Sight

ORDER = 1
CODE = "UPD-017"
PATIENCE_S = 60.0


def well(before: Sight, now: Sight, earlier: Sight | None) -> bool:
    """The service runs."""
    return now.alive
