"""The room the buffer keeps for itself: ballast, pages of its own, and what it does when the disk is full.

1. The ballast is a file that is given up when the disk is full, so that an open or a delete finds room.
2. Pages of its own: the database is made larger than it has to be, once, and its log is kept; what others do
   to the disk afterwards does not touch them.
3. While the disk is full the database may not grow beyond its own pages: SQLite then says "full" before a
   write fails, deleting still works, and the least urgent messages make room for the new ones.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from buffer.capacity import Limits
from buffer.schema import PAGE_BYTES, WAL_LIMIT

_LOG = logging.getLogger(__name__)
_PIECE = 3 * 1024 * 1024
_WATCH_BYTES = 256 * 1024
_CLOSE = 64 * 1024 * 1024
_GROW = (
    "BEGIN IMMEDIATE",
    "CREATE TABLE IF NOT EXISTS ground (piece BLOB)",
    f"INSERT INTO ground VALUES (zeroblob({_PIECE}))",  # noqa: S608 - a constant
    "COMMIT",
    "PRAGMA wal_checkpoint(PASSIVE)",
)
_LET_GO = "DROP TABLE IF EXISTS ground"
_SLACK = 512 * 1024
"""Room for what is neither database nor log: the shared memory, the numbers beside the file."""


class Space:
    """The room of one buffer; `prepare` is called before it is opened, the rest on the writer thread."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._ballast = path.with_name(path.name + ".ballast")
        self._log = path.with_name(path.name + "-wal")
        self._limited = False
        self._unwatched = _WATCH_BYTES
        self.besieged = False
        """Whether the disk is so full that the buffer lives on its own pages only."""

    def free(self) -> int:
        """Bytes that this process may still write on the file system."""
        try:
            found = os.statvfs(self._path.parent)
        except OSError:
            return 0
        return found.f_bavail * found.f_frsize

    # -- ballast -----------------------------------------------------------------------------------------

    def give_up_ballast(self) -> bool:
        """Free the ballast; whether there was any."""
        try:
            size = self._ballast.stat().st_size
            self._ballast.unlink()
        except OSError:
            return False
        _LOG.warning("the disk is full: %d bytes that were kept for this were freed", size)
        return size > 0

    def lay_in_ballast(self) -> bool:
        """Make the ballast, when there is none and twice its size is free; whether there is one now."""
        wanted = self._limits.ballast_bytes
        if self._ballast.exists():
            return True
        if self.free() < 2 * wanted:
            return False
        try:
            handle = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                os.posix_fallocate(handle, 0, max(1, wanted))
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            _LOG.warning("no room could be kept for a full disk: %s", error)
            with suppress(OSError):
                self._ballast.unlink()
            return False
        return True

    # -- pages of its own --------------------------------------------------------------------------------

    def grow(self, connection: sqlite3.Connection) -> bool:
        """Take one more piece of the disk, in transactions of its own; whether there is more to take.

        The pages are written, not only counted: a page that was never written is a hole in the file.
        """
        if self._enough(connection) or self.free() < 3 * _PIECE + self._limits.ballast_bytes:
            self.let_go(connection)
            return False
        try:
            for statement in _GROW:
                connection.execute(statement).fetchone()
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                connection.rollback()
            _LOG.info("no more room could be taken for the buffer: %s", error)
            return False
        return True

    def let_go(self, connection: sqlite3.Connection) -> None:
        """Make the pages taken so far free for messages; the file keeps them."""
        connection.execute(_LET_GO)

    def _enough(self, connection: sqlite3.Connection) -> bool:
        return _pages(connection) * PAGE_BYTES >= self._limits.own_bytes

    def own_log(self) -> None:
        """Give the log its whole length at once; nothing is written for that, and zeros are no entries.

        The log goes away with every clean stop, so this is for every start.
        """
        try:
            handle = os.open(self._log, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.posix_fallocate(handle, 0, WAL_LIMIT)
            finally:
                os.close(handle)
        except OSError as error:
            _LOG.info("no room could be taken for the log of the buffer: %s", error)

    # -- siege -------------------------------------------------------------------------------------------

    def watch(self, connection: sqlite3.Connection, written: int) -> None:
        """Limit the database to what the disk has left; looks again after so many bytes were `written`."""
        self._unwatched += written
        if self._unwatched < _WATCH_BYTES and not self._limited:
            return
        self._unwatched = 0
        free = self.free()
        if free > _CLOSE:
            if self._limited:
                self._limit(connection, self._limits.pages)
                self._limited = False
            self._say(False)
            return
        pages = _pages(connection)
        # Room for the rest of the log, and for the pages in it that lie beyond the end of the file.
        beyond = max(0, pages * PAGE_BYTES - _size(self._path))
        room = free - max(0, WAL_LIMIT - _size(self._log)) - beyond - _SLACK
        self._limit(connection, min(self._limits.pages, pages + max(0, room) // PAGE_BYTES))
        self._limited = True
        self._say(room <= 0)

    def _limit(self, connection: sqlite3.Connection, pages: int) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    def _say(self, besieged: bool) -> None:
        if besieged and not self.besieged:
            _LOG.warning("the disk is full: the buffer goes on with the room it has")
        elif self.besieged and not besieged:
            _LOG.info("the disk has room again")
        self.besieged = besieged


def _pages(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA page_count").fetchone()[0])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
