"""How deep free-form values may go: what nobody's schema describes is carried through many programs. Pure."""

from __future__ import annotations

from typing import Any

from protocol.limits import MAX_NESTING

_HOLDERS = (dict, list, tuple)


def too_deep(value: Any) -> bool:
    """Whether lists and objects stand in each other more than `MAX_NESTING` times.

    Parsers and writers go down such values by recursion, each with a limit of its own: what one of them read
    another could not write any more. This walk needs no recursion.
    """
    level = [value] if isinstance(value, _HOLDERS) else []
    for _ in range(MAX_NESTING):
        level = [inner for each in level for inner in _inside(each) if isinstance(inner, _HOLDERS)]
    return bool(level)


def _inside(holder: Any) -> Any:
    return holder.values() if isinstance(holder, dict) else holder
