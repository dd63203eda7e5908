"""Whether the names of the database and its log still lead to the files that are open, and what to do if not.

SQLite goes on writing to a file whose name was deleted, and all it says yes to is gone with the program. So
the names are looked at now and then. The open file is whole, and from it everything can be put back.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from buffer.folders import sync_folder
from buffer.quarantine import move_aside

_LOG = logging.getLogger(__name__)
_SUFFIXES = ("", "-wal")


class Names:
    """The two names and the files that they led to when they were first looked at."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: list[tuple[int, int] | None] | None = None

    def forget(self) -> None:
        """Another file was opened: the next look takes what it finds."""
        self._known = None

    def astray(self) -> bool:
        """Whether a name leads elsewhere than it did, or nowhere. Raises OSError when that cannot be told."""
        found = [_identity(self._path.with_name(self._path.name + suffix)) for suffix in _SUFFIXES]
        if self._known is None:
            if None not in found:
                self._known = found
            return False
        return found != self._known

    def put_back(self, connection: sqlite3.Connection) -> None:
        """Make the names lead to everything that is in the open file; the connection is closed then.

        A strange file in the place of ours is moved into the quarantine, for a person to look at.
        Raises sqlite3.Error or OSError; the connection is still open then.
        """
        _LOG.error("the files of the buffer were deleted or exchanged under it; they are put back")
        fresh = self._path.with_name(self._path.name + ".fresh")
        fresh.unlink(missing_ok=True)
        connection.execute("VACUUM INTO ?", (str(fresh),))
        _sync(fresh)
        if _identity(self._path) not in (None, (self._known or [None])[0]):
            move_aside(self._path, "a strange file in the place of the buffer")
        with suppress(sqlite3.Error):
            connection.close()
        for suffix in ("-wal", "-shm"):  # a log of the old file must not be applied to the new one
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        fresh.replace(self._path)
        sync_folder(self._path.parent)
        self.forget()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
