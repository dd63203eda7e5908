"""The station's pages answer."""

from __future__ import annotations

from firmware.update.sight import Sight

ORDER = 6
CODE = "UPD-022"
PATIENCE_S = 150.0


def well(before: Sight, now: Sight, earlier: Sight | None) -> bool:
    """The station's pages answer."""
    return now.portal or not before.portal
