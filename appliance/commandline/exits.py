"""Exit codes of the command line; the table in --help and in the docs is made from this one."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the shell sees."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    SETTINGS = 5
    PERMISSION = 6
    WAITING = 7
    RESTART = 8


MEANING = {
    Exit.OK: "done",
    Exit.FAILED: "failed; the message says why",
    Exit.USAGE: "the command line is wrong",
    Exit.UNREACHABLE: "station or cloud cannot be reached",
    Exit.REFUSED: "refused: wrong code, already registered, rejected event",
    Exit.SETTINGS: "a setting is wrong; the message names it",
    Exit.PERMISSION: "not allowed: run as the station's user",
    Exit.WAITING: "messages still wait to be sent",
    Exit.RESTART: "a technician asked for a restart; the service manager starts it again",
}


class CommandFailed(Exception):
    """Ends a command with one clear line on standard error, and a hint."""

    def __init__(self, code: Exit, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.hint = hint
