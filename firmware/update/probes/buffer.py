"""The buffer opens and takes what is put."""

from __future__ import annotations

from firmware.update.sight import Sight

ORDER = 5
CODE = "UPD-019"
PATIENCE_S = 60.0


def well(before: Sight, now: Sight, earlier: Sight | None) -> bool:
    """The buffer opens and takes what is put."""
    return now.buffer or not now.control or not before.buffer
