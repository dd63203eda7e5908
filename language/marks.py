"""Marks texts for translation where they stand; they are translated where they are said."""

from __future__ import annotations


def N_(text: str) -> str:
    """Marks a text for translation without translating it."""
    return text


def P_(one: str, many: str) -> tuple[str, str]:
    """Marks a text about a number, which some languages say in six ways."""
    return one, many
