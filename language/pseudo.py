"""Two made-up languages that show what a real translation would break; no real language lives here.

`en-XA` makes every message about 40 % longer and puts brackets around it, so cut or hard-coded text is
seen at once. `ar-XB` turns the reading direction. The names are the usual ones for such pseudo-locales.
"""

from __future__ import annotations

import gettext
import re
from collections.abc import Callable

LONG = "en-XA"
RIGHT_TO_LEFT = "ar-XB"

_ACCENTS = str.maketrans("aeiouyAEIOUYcnsz", "áéíóúýÁÉÍÓÚÝçñšž")
_KEEP = re.compile(r"(%\(\w+\)s|%%|<[^>]+>|&\w+;)")
_FILLER = " one two three four five six seven eight nine ten eleven twelve"


class Longer(gettext.NullTranslations):
    """Every message accented, padded by 40 % and put in brackets."""

    def gettext(self, message: str) -> str:
        return f"[{_outside_marks(message, _accented)}{_padding(len(message))}]"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


class Mirrored(gettext.NullTranslations):
    """Every word forced to run from right to left."""

    def gettext(self, message: str) -> str:
        return _outside_marks(message, _reversed_words)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


def _outside_marks(message: str, change: Callable[[str], str]) -> str:
    """`message` changed everywhere but in placeholders, markup and entities."""
    parts = _KEEP.split(message)
    return "".join(part if index % 2 else change(part) for index, part in enumerate(parts))


def _accented(text: str) -> str:
    return text.translate(_ACCENTS)


def _padding(length: int) -> str:
    wanted = max(1, round(length * 0.4) - 2)
    return (_FILLER * (1 + wanted // len(_FILLER)))[:wanted].rstrip() or "·"


def _reversed_words(text: str) -> str:
    return re.sub(r"\w[\w'’-]*", lambda word: f"\u200f\u202e{word.group()}\u202c\u200f", text)
