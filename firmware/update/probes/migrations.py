"""The database is that of the new version."""

from __future__ import annotations

from firmware.update.sight import Sight

ORDER = 2
CODE = "UPD-020"
PATIENCE_S = 150.0


def well(before: Sight, now: Sight, earlier: Sight | None) -> bool:
    """The database is that of the new version."""
    return now.migrated or not now.control or not before.migrated
