"""Parts for tests of people: a fresh store, cheap password hashing, a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloud.security.passwords import Cost
from cloud.store.engine import Database
from cloud.store.schema import metadata

CHEAP = Cost(time=1, memory_kib=8, lanes=1)
"""Real argon2id, without the wait."""
PASSWORD = "correct horse battery"
START_MS = 1_790_000_000_000


class Clock:
    """Milliseconds since 1970, moved by hand; `monotonic` is the same in seconds."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms

    def monotonic(self) -> float:
        return self.now_ms / 1000

    def move(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1000)


@contextmanager
def fresh_database(folder: Path) -> Iterator[Database]:
    """A SQLite store with all tables and no rows."""
    database = Database(f"sqlite:///{folder / 'cloud.db'}")
    try:
        database.write_now(lambda connection: metadata.create_all(connection))
        yield database
    finally:
        database.close()
