"""The bytes of a text file that a person wrote with any editor, as lines and back; no meaning here."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
"""Not `str.splitlines`: a network's name may hold what Unicode too calls the end of a line."""
UNREADABLE = "\ufffd"
"""Stands where a byte has no meaning in the file's encoding."""


@dataclass(frozen=True, slots=True)
class Text:
    """Lines with their ends, and what it takes to write them again as the person's editor likes them."""

    lines: tuple[str, ...]
    codec: str = "utf-8"
    mark: bytes = b""

    def with_lines(self, lines: list[str]) -> bytes:
        """The file with other lines, in the same encoding."""
        return self.mark + "".join(lines).encode(self.codec, "replace")


def read_text(data: bytes) -> Text:
    """UTF-8 or UTF-16 by its byte order mark, UTF-16 without one by its zeros, else UTF-8 or Windows-1252."""
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return _text(data.removeprefix(mark), codec, mark)
    for offset, codec in ((1, "utf-16-le"), (0, "utf-16-be")):
        half = data[offset::2]
        if len(data) > 1 and half.count(0) * 2 > len(half):
            return _text(data, codec)
    try:
        return _text(data, "utf-8", strict=True)
    except UnicodeDecodeError:
        return _text(data, "cp1252")


def _text(data: bytes, codec: str, mark: bytes = b"", *, strict: bool = False) -> Text:
    text = data.decode(codec, "strict" if strict else "replace")
    return Text(tuple(_LINE.findall(text)), codec, mark)
