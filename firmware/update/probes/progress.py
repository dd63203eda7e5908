"""The station's loop turns."""

from __future__ import annotations

from firmware.update.sight import Sight

ORDER = 3
CODE = "UPD-018"
PATIENCE_S = 60.0


def well(before: Sight, now: Sight, earlier: Sight | None) -> bool:
    """It runs and is silent at every door, or its count of turns stands still: it hangs."""
    heard_before = before.control or before.portal
    if now.alive and heard_before and not now.control and not now.portal:
        return False
    counted = earlier is not None and earlier.ticks is not None and now.ticks is not None
    return not counted or earlier is None or now.ticks != earlier.ticks
