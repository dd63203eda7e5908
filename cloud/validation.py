"""From bytes of a request to a checked message, or a refusal that names the field. Knows no message."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from protocol.errors import INVALID, Refusal
from protocol.limits import MAX_NESTING
from protocol.nesting import too_deep

T = TypeVar("T")

MAX_NAME = 80

_PATH = re.compile(r" - at `(?:key in )?(\$[^`]*)`$")
_MISSING = re.compile(r"^Object (?:missing required|contains unknown) field `([^`]*)`")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def decode(body: bytes, kind: type[T]) -> T:
    """The message in `body`. Raises `Refusal` REG-007 with the path of the offending field.

    NUL characters are refused everywhere: PostgreSQL cannot store them, and no text needs them.
    """
    if b"\0" in body or _NUL.search(body):
        raise Refusal("REG-007", INVALID, "Text must not contain NUL characters.", field="$")
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        text = str(error)
        raise Refusal("REG-007", INVALID, _PATH.sub("", text) + ".", field=field_of(text)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal("REG-007", INVALID, "The body is not JSON as we read it.", field="$") from None


def check_nesting(value: Any, field: str) -> None:
    """Raises `Refusal` REG-007 for a value of free form that is nested too deeply."""
    if too_deep(value):
        detail = f"Lists and objects may stand in each other {MAX_NESTING} times; make it flatter."
        raise Refusal("REG-007", INVALID, detail, field=field)


def field_of(text: str) -> str:
    """The JSON path in a msgspec message: `$.location.latitude`."""
    found = _PATH.search(text)
    path = found[1] if found else "$"
    missing = _MISSING.match(text)
    return f"{path}.{missing[1]}" if missing else path


def clean_name(text: str, field: str = "$.name") -> str:
    """A name as it is kept: one line, no doubled spaces. Raises `Refusal` REG-007."""
    name = " ".join(text.split())
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise Refusal("REG-007", INVALID, f"A name has 1 to {MAX_NAME} characters.", field=field)
    return name
