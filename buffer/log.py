"""SQLite's write-ahead log: copied back between commits, and watched for a reader that does not let go."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

from buffer.handle import Handle
from buffer.lock import other_readers
from buffer.schema import PAGE_BYTES, WAL_LIMIT

_LOG = logging.getLogger(__name__)
HELD_BYTES = 8 * WAL_LIMIT
"""A log longer than this, because a reader does not let go, takes in only what is critical or high."""
IDLE_BYTES = 1024 * 1024
BUSY_BYTES = WAL_LIMIT // 2
_LOOK_EVERY = 64


class Log:
    """Used on the writer thread; `held` may be read anywhere."""

    def __init__(self, path: Path, handle: Handle) -> None:
        """`path` is that of the database."""
        self.held = False
        """Whether a reader has kept the log from being copied back until it was too long."""
        self._path = path
        self._wal = path.with_name(path.name + "-wal")
        self._handle = handle
        self._bytes = 0
        self._high = 0
        self._looks = 0

    @property
    def long_enough(self) -> bool:
        """Whether an idle moment should be used to copy it back."""
        return self._bytes >= IDLE_BYTES

    def grew(self, size: int) -> None:
        """A commit added about so many bytes."""
        self._bytes += size

    def begun_anew(self) -> None:
        """It belongs to a fresh file."""
        self._bytes = 0

    def copy_back(self, threshold: int) -> None:
        """Copy it into the main file when it is longer than this; never inside somebody's commit.

        While a reader holds it, it is tried at every occasion: urgent messages alone may be rare.
        """
        connection = self._handle.connection
        if connection is None or not (self.held or self._bytes >= threshold or self._passed_limit()):
            return
        self._bytes = 0
        try:
            busy, frames, done = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            _LOG.warning("the log of the buffer could not be copied back: %s", error)
            self._handle.replace_if_damaged(error)
            return
        if busy or done < frames:
            self._held_back(frames, done)
        else:
            self.held = False

    def _held_back(self, frames: int, done: int) -> None:
        """A reader that does not end keeps the log growing: say who it is, and above the limit take in only
        what is urgent."""
        level = logging.INFO
        if frames * PAGE_BYTES > HELD_BYTES and not self.held:
            self.held = True
            level = logging.ERROR
        readers = ", ".join(map(str, other_readers(self._path))) or "unknown"
        _LOG.log(
            level,
            "a reader keeps %d of %d pages of the log from being copied back (process %s)",
            frames - done, frames, readers,
        )  # fmt: skip

    def _passed_limit(self) -> bool:
        """Whether the log file passed its limit since the last look; a net below the estimate.

        Not looked at after every commit: while it is asked for, those who were told of the commit hold the
        interpreter, and the next commit would wait for them.
        """
        self._looks += 1
        if self._looks % _LOOK_EVERY:
            return False
        try:
            size = self._wal.stat().st_size
        except FileNotFoundError:
            size = 0
        passed = size > max(self._high, WAL_LIMIT)
        self._high = size
        return passed
