"""The time is known, if it was before."""

from __future__ import annotations

from firmware.update.sight import Sight

ORDER = 9
CODE = "UPD-026"
PATIENCE_S = 900.0


def well(before: Sight, now: Sight, earlier: Sight | None) -> bool:
    """The time is known, if it was before."""
    return now.clock or not before.clock
