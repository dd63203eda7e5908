"""The one writing connection: opened anew when the disk failed under it, exchanged when damaged."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import suppress

from buffer.errors import StoreError, is_damaged
from buffer.space import Space

_LOG = logging.getLogger(__name__)


class Handle:
    """Used on the writer thread alone."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        connect: Callable[[], sqlite3.Connection],
        replace: Callable[[str], sqlite3.Connection],
        space: Space,
    ) -> None:
        self.connection: sqlite3.Connection | None = connection
        self.replacements = 0
        """How often a fresh file took the place of a damaged one."""
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
        return self.connection

    def abandon(self, connection: sqlite3.Connection, error: BaseException) -> None:
        """Roll back; after a failed read or write of the disk the connection is not trusted any more."""
        with suppress(sqlite3.Error):
            connection.rollback()
        if getattr(error, "sqlite_errorname", "").startswith("SQLITE_IOERR"):
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
        self.replacements += 1
        return True

    def close(self) -> None:
        """The end."""
        if self.connection is not None:
            self.connection.close()
