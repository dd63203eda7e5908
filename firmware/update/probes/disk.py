"""The disk did not fill up since the switch."""

from __future__ import annotations

from firmware.update.sight import Sight

ORDER = 10
CODE = "UPD-025"
PATIENCE_S = 60.0

LEAST = 16 << 20
"""Bytes; below them SQLite and the journal begin to fail."""


def well(before: Sight, now: Sight, earlier: Sight | None) -> bool:
    """The disk did not fill up since the switch."""
    return now.free is None or now.free >= LEAST or (before.free is not None and before.free < LEAST)
