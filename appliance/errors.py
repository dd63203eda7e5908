"""Errors that end the program before it works; each text says what to do."""

from __future__ import annotations


class StartRefused(Exception):
    """The station cannot start as it is set up."""
