"""QR codes as one SVG path, drawn by the page in its own colours. Knows no text."""

from __future__ import annotations

from dataclasses import dataclass

import qrcode
from qrcode.constants import ERROR_CORRECT_M

QUIET = 4
"""Modules of white around the code (ISO/IEC 18004 §9.1)."""
_ANY_MASK = 3
"""One of the eight patterns that break up large areas; a reader undoes whichever was used."""


@dataclass(frozen=True)
class Qr:
    """Side length in modules with the quiet zone, and the path of the dark ones."""

    size: int
    path: str


def qr_code(text: str, *, quick: bool = False) -> Qr:
    """The smallest code of medium error correction that holds the text.

    `quick` takes one mask without weighing all eight, in a fifth of the time: for screens, where the code is
    lit and sharp. What is printed and carried about gets the best.
    """
    mask = _ANY_MASK if quick else None
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=QUIET, mask_pattern=mask)
    code.add_data(text)
    code.make(fit=True)
    matrix = code.get_matrix()
    return Qr(len(matrix), "".join(_row(y, row) for y, row in enumerate(matrix)))


def _row(y: int, row: list[bool]) -> str:
    """Runs of dark modules, because one rectangle per run draws without hairlines."""
    parts, start = [], None
    for x, dark in enumerate([*row, False]):
        if dark and start is None:
            start = x
        elif not dark and start is not None:
            parts.append(f"M{start} {y}h{x - start}v1h-{x - start}z")
            start = None
    return "".join(parts)
