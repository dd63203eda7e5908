"""The one writing connection: opened anew when the disk failed under it, exchanged when damaged."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from buffer.errors import StoreError, is_damaged, is_read_only
from buffer.names import Names
from buffer.space import Space

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0


class Handle:
    """Used on the writer thread alone."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        connect: Callable[[], sqlite3.Connection],
        replace: Callable[[str], sqlite3.Connection],
        space: Space,
    ) -> None:
        self.connection: sqlite3.Connection | None = connection
        self._names = Names(path)
        self._looked = float("-inf")
        self._connect = connect
        self._replace = replace
        self._space = space

    def ready(self) -> sqlite3.Connection:
        """The connection, opened if need be. Raises sqlite3.Error when the disk does not let it."""
        if self.connection is None:
            try:
                self.connection = self._connect()
            except sqlite3.Error:
                if not self._space.give_up_ballast():
                    raise
                self.connection = self._connect()
            self._names.forget()
        return self.connection

    def look_at_names(self) -> bool:
        """Once a second at most: put everything back when the names were taken from the open files.

        Whether that was done.
        """
        now = time.monotonic()
        if self.connection is None or now - self._looked < _LOOK_SECONDS:
            return False
        self._looked = now
        try:
            if not self._names.astray():
                return False
            self._names.put_back(self.connection)
        except (sqlite3.Error, OSError) as error:
            _LOG.error("the files of the buffer are not where they were, and cannot be put back: %s", error)
            return False
        self.connection = None
        return True

    def abandon(self, connection: sqlite3.Connection, error: BaseException) -> None:
        """Roll back; after a failed read or write of the disk the connection is not trusted any more.

        Nor after a refusal to write: a file that was opened while the disk refused stays read-only for ever.
        """
        with suppress(sqlite3.Error):
            connection.rollback()
        if getattr(error, "sqlite_errorname", "").startswith("SQLITE_IOERR") or is_read_only(error):
            _LOG.error("the disk failed under the buffer: %s; the file is opened anew", error)
            self.connection = None
            with suppress(sqlite3.Error):
                connection.close()

    def replace_if_damaged(self, error: Exception) -> bool:
        """Whether the file was damaged and another one is in its place."""
        if not is_damaged(error):
            return False
        if self.connection is not None:
            with suppress(sqlite3.Error):
                self.connection.close()
            self.connection = None
        try:
            self.connection = self._replace(str(error))
        except (sqlite3.Error, OSError, StoreError):
            _LOG.exception("no fresh file could take the place of the damaged buffer")
            return False
        self._names.forget()
        return True

    def close(self) -> None:
        """The end."""
        if self.connection is not None:
            self.connection.close()
