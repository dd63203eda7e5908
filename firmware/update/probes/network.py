"""There is a network, if there was one before."""

from __future__ import annotations

from firmware.update.sight import Sight

ORDER = 7
CODE = "UPD-023"
PATIENCE_S = 900.0


def well(before: Sight, now: Sight, earlier: Sight | None) -> bool:
    """There is a network, if there was one before."""
    return now.network or not before.network
