"""The guide to the codes, as far as the station carries it: the rows of docs/troubleshooting.md, in English.

`guide.md` is that page: a phone on the setup hotspot has no internet to read it elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PAGE = Path(__file__).parent / "guide.md"

_ROW = re.compile(r"^\| ([A-Z]{2,4}-[0-9]{3}) \| (.+) \| (.+) \|$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True, slots=True)
class Row:
    """What one code means, and what to do."""

    code: str
    meaning: str
    remedy: str


def find(code: str) -> Row | None:
    """The row of a code; None for one that the guide does not know."""
    return _rows().get(code)


@cache
def _rows() -> dict[str, Row]:
    """Read once, when somebody asks: most people never do."""
    text = _LINK.sub(r"\1", PAGE.read_text("utf-8"))
    return {code: Row(code, meaning, remedy) for code, meaning, remedy in _ROW.findall(text)}
