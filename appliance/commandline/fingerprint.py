"""`generate-fingerprint`: what names this hardware. It needs no network and changes nothing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from firmware.board import read_board
from firmware.fingerprint import fingerprint, hardware_id


def values() -> dict[str, Any]:
    """The parts, the hardware id and the hash."""
    board = read_board()
    parts = fingerprint(board)
    return {
        "hardware_id": str(hardware_id(board)),
        "model": board.model,
        **asdict(parts),
        "hash": parts.digest(),
    }


def lines(facts: dict[str, Any]) -> list[str]:
    """One line a part; what this machine lacks is said."""
    rows = []
    for name, value in facts.items():
        shown = ", ".join(value) if isinstance(value, tuple | list) else value
        rows.append(f"{name:<16} {shown if shown not in (None, '') else '– (this machine has none)'}")
    return rows
