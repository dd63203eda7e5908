"""Reading a buffer that another process owns: for the command line while the daemon runs. Writes nothing."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from buffer import boots
from buffer.clock import Clock, SystemClock
from buffer.detail import Detail, Found, dead_after, describe, media_of, named, waiting_after, was_here
from buffer.errors import BufferTooNew, NoBuffer, from_sqlite
from buffer.listing import Depth, Row, read_depth, read_rows
from buffer.message import Priority
from buffer.schema import MIGRATIONS, connect_reader
from buffer.sent import Sent

MOMENT_SECONDS = 30.0
_BATCH = 100
_Following = Callable[[sqlite3.Connection, int, int], list[Found]]


def open_reader(path: Path, *, clock: Clock | None = None) -> Reader:
    """A reader for the buffer at `path`, whether its owner runs or not.

    Raises NoBuffer, BufferTooNew, BufferDamaged or StorageFailed.
    """
    with _translated():
        connection = connect_reader(path)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    if not 1 <= version <= len(MIGRATIONS):
        connection.close()
        if version == 0:
            raise NoBuffer(f"The buffer at {path} was never filled.")
        raise BufferTooNew(f"The buffer file has version {version}, this program knows {len(MIGRATIONS)}.")
    return Reader(connection, clock or SystemClock())


class Reader:
    """A read-only view; every call sees one moment and lets go at once, so the owner's log never piles up.

    The calls block: milliseconds for thousands of messages, about a second for a million.
    """

    def __init__(self, connection: sqlite3.Connection, clock: Clock) -> None:
        """Take over a read-only connection; use `open_reader`."""
        self.connection = connection
        self._clock = clock

    def depth(self, sent: Sent | None = None) -> Depth:
        """How full the buffer is, counted from the file; only its owner knows what is `sent`."""
        with self._moment():
            tally = boots.count_tally(self.connection)
            timeline = boots.read_timeline(self.connection)
            return read_depth(self.connection, tally, timeline, self._now_ms(), sent)

    def rows(self, limit: int, priority: Priority | None = None, sent: Container[int] = ()) -> list[Row]:
        """At most `limit` messages without their payloads: the waiting in order, then the dead."""
        with self._moment():
            timeline = boots.read_timeline(self.connection)
            return read_rows(self.connection, timeline, self._now_ms(), limit, priority, sent=sent)

    def dead_reasons(self, limit: int = 20) -> dict[str, int]:
        """Why messages were set aside, the most frequent first, with how many were."""
        with self._moment():
            query = "SELECT reason, count(*) FROM dead GROUP BY reason ORDER BY count(*) DESC LIMIT ?"
            return dict(self.connection.execute(query, (limit,)).fetchall())

    def find(self, name: str) -> list[Detail]:
        """Every message with this UUID or this key; of several revisions all that are still here."""
        with self._moment():
            return self._described(named(self.connection, name))

    def was_here(self, name: str) -> bool:
        """Whether a message with this UUID or key was stored once, as far as the buffer remembers."""
        with self._moment():
            return was_here(self.connection, name)

    def details(self) -> Iterator[Detail]:
        """Every message, the waiting in order, then the dead; a hundred of them at one moment.

        What comes or goes meanwhile is there or not; what is set aside meanwhile may come twice.
        """
        yield from self._walk(waiting_after)
        yield from self._walk(dead_after)

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _walk(self, following: _Following) -> Iterator[Detail]:
        place, more = -1, True
        while more:
            with self._moment():
                found = following(self.connection, place, _BATCH)
                batch = self._described(found)
            yield from batch
            place, more = (found[-1].place, True) if found else (place, False)

    def _described(self, found: Sequence[Found]) -> list[Detail]:
        timeline, now_ms = boots.read_timeline(self.connection), self._now_ms()
        return [describe(each, media_of(self.connection, each.record), timeline, now_ms) for each in found]

    def _now_ms(self) -> int:
        """Now on the time line; when the owner has not run since the last boot, the moment it stopped."""
        run = boots.latest_run(self.connection)
        if run is None:
            return 0
        same_boot = run.kernel_boot == self._clock.boot_id()
        return run.base_ms + (int(self._clock.boottime() * 1000) if same_boot else run.last_ms)

    @contextmanager
    def _moment(self) -> Iterator[None]:
        deadline = time.monotonic() + MOMENT_SECONDS
        # A view that stays open keeps the owner's log growing, so nobody may look for ever.
        self.connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
        with _translated():
            self.connection.execute("BEGIN")
            try:
                yield
            finally:
                self.connection.set_progress_handler(None, 0)
                self.connection.rollback()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise from_sqlite(error) from error
