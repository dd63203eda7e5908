"""What an API token may be allowed. Which route needs which scope is said in the table of routes."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """Each is its own: `command` does not contain `read`."""

    READ = "read"
    COMMAND = "command"
    CLAIM = "claim"
