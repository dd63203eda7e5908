"""How deep free-form values may go: what nobody's schema describes is carried through many programs. Pure."""

from __future__ import annotations

from typing import Any

from protocol.limits import MAX_NESTING


def too_deep(value: Any) -> bool:
    """Whether lists and objects stand in each other more than `MAX_NESTING` times.

    Parsers and writers go down such values by recursion, each with a limit of its own: what one of them read
    another could not write any more. This walk needs no recursion.
    """
    level = [value]
    for _ in range(MAX_NESTING + 1):
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inner += each.values()
            elif isinstance(each, list | tuple):
                inner += each
        if not inner:
            return False
        level = [each for each in inner if isinstance(each, dict | list | tuple)]
    return bool(level)
