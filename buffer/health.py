"""Whether the file is sound, asked of SQLite after an unclean stop; what follows is decided elsewhere."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

from buffer import boots
from buffer.errors import BufferDamaged, StoreError, is_damaged
from buffer.schema import connect_reader
from buffer.state import State, Tally
from buffer.writer import Writer

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
    """A check of a large file, on a thread and a connection of its own, and a count of what is in it."""

    def __init__(self, path: Path, writer: Writer, state: State) -> None:
        self._path = path
        self._writer = writer
        self._state = state
        self._run = state.run.number
        self._stopped = False
        self._thread = threading.Thread(target=self._main, name="buffer-check", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End it, finished or not. Blocks for a moment."""
        self._stopped = True
        self.wait()

    def wait(self) -> None:
        """Until it is through. Blocks."""
        if self._thread.is_alive():
            self._thread.join()

    def _main(self) -> None:
        began = time.monotonic()
        try:
            self._count()
            with closing(connect_reader(self._path)) as connection:
                connection.set_progress_handler(lambda: self._stopped, 10_000)
                _refuse(connection)
            _LOG.info("the buffer file is sound (%.1f s)", time.monotonic() - began)
        except (sqlite3.Error, StoreError) as error:
            if self._stopped:
                return
            if is_damaged(error):
                self._condemn(str(error))
            else:
                _LOG.warning("the buffer file could not be checked: %s", error)

    def _count(self) -> None:
        """Replace the figures that a crash left out of date, while messages come and go."""
        connection, before = self._writer.call(self._pin, writes=False)
        with closing(connection):
            connection.set_progress_handler(lambda: self._stopped, 10_000)
            counted = boots.count_tally(connection)
        self._writer.call(lambda _: self._correct(before, counted))

    def _pin(self, _: sqlite3.Connection) -> tuple[sqlite3.Connection, Tally]:
        """A view of this very moment, and the figures that go with it; between two transactions."""
        connection = connect_reader(self._path, check_same_thread=False)
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM boots").fetchone()
        return connection, self._state.tally.copy()

    def _correct(self, before: Tally, counted: Tally) -> None:
        if self._state.run.number == self._run:
            self._state.tally.shift(before, counted)

    def _condemn(self, reason: str) -> None:
        if self._state.run.number == self._run:  # a later file is not meant
            self._writer.condemn(reason)


def _refuse(connection: sqlite3.Connection) -> None:
    [finding] = connection.execute("PRAGMA quick_check(1)").fetchone()
    if finding != "ok":
        raise BufferDamaged(f"The buffer file is damaged ({finding}).")
