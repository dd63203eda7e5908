"""The cloud is reached, if it was before."""

from __future__ import annotations

from firmware.update.sight import Sight

ORDER = 8
CODE = "UPD-024"
PATIENCE_S = 900.0


def well(before: Sight, now: Sight, earlier: Sight | None) -> bool:
    """The cloud is reached, if it was before."""
    return now.cloud or not before.cloud
