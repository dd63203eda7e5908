"""Whether the file is sound, asked of SQLite after an unclean stop; what follows is decided elsewhere."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from buffer.errors import BufferDamaged, is_damaged
from buffer.schema import connect_reader

_LOG = logging.getLogger(__name__)
CHECK_AT_ONCE_BYTES = 64 * 1024 * 1024
"""Below this the check takes well under a second even on a card; above it, it runs beside the work."""


def check_now(connection: sqlite3.Connection, path: Path) -> bool:
    """Check a small file and say true; a large one is left for later. Raises BufferDamaged."""
    if path.stat().st_size > CHECK_AT_ONCE_BYTES:
        return False
    _refuse(connection)
    return True


class BackgroundCheck:
    """A check of a large file on a thread and a connection of its own."""

    def __init__(self, path: Path, damaged: Callable[[str], None]) -> None:
        """`damaged` is told, on that thread, when the file is not sound."""
        self._path = path
        self._damaged = damaged
        self._stopped = False
        self._thread = threading.Thread(target=self._main, name="buffer-check", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End it, finished or not. Blocks for a moment."""
        self._stopped = True
        if self._thread.is_alive():
            self._thread.join()

    def _main(self) -> None:
        began = time.monotonic()
        try:
            with closing(connect_reader(self._path)) as connection:
                connection.set_progress_handler(lambda: self._stopped, 10_000)
                _refuse(connection)
            _LOG.info("the buffer file is sound (%.1f s)", time.monotonic() - began)
        except (sqlite3.Error, BufferDamaged) as error:
            if self._stopped:
                return
            if is_damaged(error):
                self._damaged(str(error))
            else:
                _LOG.warning("the buffer file could not be checked: %s", error)


def _refuse(connection: sqlite3.Connection) -> None:
    [finding] = connection.execute("PRAGMA quick_check(1)").fetchone()
    if finding != "ok":
        raise BufferDamaged(f"The buffer file is damaged ({finding}).")
