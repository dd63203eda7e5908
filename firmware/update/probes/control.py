"""The control socket answers."""

from __future__ import annotations

from firmware.update.sight import Sight

ORDER = 4
CODE = "UPD-021"
PATIENCE_S = 60.0


def well(before: Sight, now: Sight, earlier: Sight | None) -> bool:
    """The control socket answers."""
    return now.control or not before.control
