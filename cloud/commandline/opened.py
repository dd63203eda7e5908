"""The database for one command: its folder made, its schema brought up to date, closed at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cloud.settings import Settings
from cloud.store.engine import Database
from cloud.store.migrate import upgrade


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """Raises `StoreError` when it cannot be used."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = Database(settings.database)
    try:
        upgrade(database)
        yield database
    finally:
        database.close()
