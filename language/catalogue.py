"""Reads a translator's catalogue (`.po`) as it is committed; which languages there are stands elsewhere.

Nothing is compiled: what a translator saves is what a page says, in a checkout as in a package, and the
station needs no tool for it. Only what `gettext` itself would use is read: messages that are translated,
not marked fuzzy and not obsolete. Contexts (`msgctxt`) are not used in this project and are refused.
The format: https://www.gnu.org/software/gettext/manual/html_node/PO-Files.html.
"""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

_PLURAL = re.compile(r"^Plural-Forms:.*?plural=([^;]+);?", re.MULTILINE | re.IGNORECASE)
_FIELD = re.compile(r"(msgctxt|msgid_plural|msgid|msgstr(?:\[(\d)\])?)\s+(\".*\")\Z")


class CatalogueDamaged(ValueError):
    """The file is not a catalogue; the text names file, line and what is wrong there."""


@dataclass(slots=True)
class _Entry:
    """One message while it is read: its parts by keyword, as in the file."""

    fuzzy: bool = False
    parts: dict[str, str] = field(default_factory=dict)

    @property
    def translations(self) -> list[str]:
        return [text for name, text in self.parts.items() if name.startswith("msgstr")]


class Catalogue(gettext.NullTranslations):
    """The messages of one language; whatever is missing is said in English."""

    def __init__(self, entries: dict[str, list[str]], plural: Callable[[int], int]) -> None:
        super().__init__()
        self._entries = entries
        self._plural = plural

    def gettext(self, message: str) -> str:
        return self._entries.get(message, (message,))[0]

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        forms, form = self._entries.get(msgid1, ()), self._plural(n)
        if form < len(forms):
            return forms[form]
        return msgid1 if n == 1 else msgid2


def read(path: Path) -> Catalogue:
    """The catalogue in `path`. Raises `CatalogueDamaged`, and `OSError` if it cannot be read."""
    try:
        found = {entry.parts["msgid"]: entry.translations for entry in _entries(path.read_text("utf-8-sig"))}
        header = found.pop("", [""])[0]
        rule = _PLURAL.search(header)
        return Catalogue(found, gettext.c2py(rule[1] if rule else "n != 1"))
    except (ValueError, SyntaxError, KeyError) as error:
        raise CatalogueDamaged(f"{path}: {error}") from error


def _entries(text: str) -> Iterator[_Entry]:
    """All messages that are to be used, and the header, which is the translation of nothing."""
    entry, part = _Entry(), ""
    for number, line in enumerate([*text.split("\n"), ""], 1):
        stripped = line.strip()
        begun = "msgid" in entry.parts
        if begun and (not stripped or stripped.startswith(("#", "msgid ", "msgctxt "))):
            if _is_used(entry):
                yield entry
            entry, part = _Entry(), ""
        if stripped.startswith("#"):
            entry.fuzzy = entry.fuzzy or (stripped.startswith("#,") and "fuzzy" in stripped)
        elif stripped:
            part = _add(entry, part, stripped, number)


def _add(entry: _Entry, part: str, line: str, number: int) -> str:
    """Adds one line of text to `entry`; gives the part that the next line may go on with."""
    if line.startswith('"') and part:
        entry.parts[part] += _unquoted(line, number)
        return part
    known = _FIELD.match(line)
    if known is None or known[1] == "msgctxt":
        raise ValueError(f"line {number} is no part of a message: {line[:40]}")
    entry.parts[known[1]] = _unquoted(known[3], number)
    return known[1]


def _unquoted(text: str, number: int) -> str:
    """A quoted string of C, whose escapes are among those of Python."""
    if "\\" not in text and text.count('"') == 2:
        return text[1:-1]
    try:
        return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        raise ValueError(f"line {number} is no quoted text: {text[:40]}") from None


def _is_used(entry: _Entry) -> bool:
    header = entry.parts["msgid"] == ""
    return header or (not entry.fuzzy and bool(entry.translations) and all(entry.translations))
