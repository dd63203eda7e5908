"""Version numbers: their form and their order. `1.4.2~rc1` comes before `1.4.2`, as Debian orders them."""

from __future__ import annotations

import re

PATTERN = r"^(0|[1-9][0-9]{0,5})(\.(0|[1-9][0-9]{0,5})){1,3}(~rc[1-9][0-9]{0,3})?\Z"
"""Safe as the name of a folder: digits, dots, and the mark of a candidate."""

_FORM = re.compile(PATTERN)


def is_version(text: str) -> bool:
    """Whether the text is a version."""
    return _FORM.match(text) is not None


def order(version: str) -> tuple[tuple[int, ...], int]:
    """A key to sort by. Raises `ValueError` for what is no version."""
    if not is_version(version):
        raise ValueError(f"{version!r} is no version; write it like 1.4.2")
    numbers, _, candidate = version.partition("~rc")
    parts = [int(part) for part in numbers.split(".")]
    while parts[-1:] == [0]:
        parts.pop()
    return tuple(parts), int(candidate) if candidate else 1 << 20


def newer(one: str, other: str) -> bool:
    """Whether `one` comes after `other`."""
    return order(one) > order(other)
