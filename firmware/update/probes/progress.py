"""The station's loop turns."""

from __future__ import annotations

from firmware.update.sight import Sight

ORDER = 3
CODE = "UPD-018"
PATIENCE_S = 60.0


def well(before: Sight, now: Sight, earlier: Sight | None) -> bool:
    """The station's loop turns."""
    return earlier is None or now.ticks is None or earlier.ticks is None or now.ticks != earlier.ticks
