"""Runs plain functions in one transaction each, on worker threads, over SQLite or PostgreSQL. Knows no table.

SQLite has one writer, so there is one writing thread and `BEGIN IMMEDIATE`, and what waits for it shares a
commit (`grouped`); readers see the last committed state and cannot write. PostgreSQL runs writers side by
side as SERIALIZABLE, which means the same as a single writer, and repeats a transaction that lost a race.
Who lost twice runs alone: writers hold an advisory lock, shared at first, exclusive then, so that nobody
loses for ever.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, InterfaceError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from cloud.errors import SettingsError, StoreError
from cloud.store.grouped import GroupCommit

T = TypeVar("T")

WRITE_ATTEMPTS = 8
_SIDE_BY_SIDE = 2
_LOCK = 0x4D45_5445_4F52
_BUSY_MS = 5_000
_LOCK_WAIT_MS = 15_000
_RACES_LOST = {"40001", "40P01"}
"""SQLSTATE of a serialization failure and of a deadlock."""
_TWICE = "23505"
"""SQLSTATE of a unique violation."""
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    f"busy_timeout={_BUSY_MS}",
    "trusted_schema=OFF",
    "cell_size_check=ON",
    "secure_delete=ON",
    "temp_store=MEMORY",
)


class Database:
    """The one door to the store. `read` and `write` run `fn(connection)` in one transaction of its own."""

    def __init__(self, url: str, *, threads: int = 4) -> None:
        """Raises `SettingsError` for a URL that is neither SQLite nor psycopg."""
        self.url = _checked(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._writing = _sqlite(self.url, 1) if self.is_sqlite else _postgres(self.url, 2 * threads)
        self._reading = _sqlite(self.url, threads, read_only=True) if self.is_sqlite else self._writing
        self._group = GroupCommit(self._writing) if self.is_sqlite else None
        self._writers = ThreadPoolExecutor(threads, thread_name_prefix="store-write")
        self._readers = ThreadPoolExecutor(threads, thread_name_prefix="store-read")

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """What `fn` returns from one snapshot. Raises `StoreError` when the store fails."""
        return await _in(self._readers, functools.partial(self.read_now, fn))

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """What `fn` returns, after the commit is on disk. `fn` may run more than once; each run but the last
        is rolled back. A raised exception rolls back. Raises `StoreError` when the store fails."""
        alone = functools.partial(self.write_now, fn)
        if self._group is not None:
            return await asyncio.wrap_future(self._group.submit(fn, alone))
        return await _in(self._writers, alone)

    def read_now(self, fn: Callable[[Connection], T]) -> T:
        """`read` for callers without an event loop."""
        try:
            with self._reading.connect() as connection:
                if not self.is_sqlite:
                    connection = connection.execution_options(
                        isolation_level="REPEATABLE READ", postgresql_readonly=True
                    )
                with connection.begin():
                    return fn(connection)
        except (IntegrityError, ProgrammingError):
            raise
        except (DatabaseError, InterfaceError, PoolTimeout) as error:
            raise StoreError(_reason(error)) from error

    def write_now(self, fn: Callable[[Connection], T]) -> T:
        """`write` for callers without an event loop."""
        for attempt in range(WRITE_ATTEMPTS):
            try:
                with (
                    self._writing.connect() as connection,
                    self._turn(connection, attempt),
                    connection.begin(),
                ):
                    return fn(connection)
            except (DatabaseError, InterfaceError, PoolTimeout) as error:
                if not self._lost_a_race(error, attempt):
                    if isinstance(error, (IntegrityError, ProgrammingError)):
                        raise
                    raise StoreError(_reason(error)) from error
            time.sleep(random.uniform(0, 0.01 * 2**attempt))
        raise StoreError("The database was too busy for this change.")

    def _lost_a_race(self, error: Exception, attempt: int) -> bool:
        """A key that is there twice may be a race too, where both writers looked before either wrote."""
        state = getattr(getattr(error, "orig", None), "sqlstate", None)
        return state in _RACES_LOST or (state == _TWICE and attempt < _SIDE_BY_SIDE)

    @contextmanager
    def _turn(self, connection: Connection, attempt: int) -> Iterator[None]:
        """The advisory lock around one attempt, taken before the transaction's snapshot, or it were void."""
        if self.is_sqlite:
            yield
            return
        kind = "_shared" if attempt < _SIDE_BY_SIDE else ""
        connection.exec_driver_sql(f"SELECT pg_advisory_lock{kind}({_LOCK})")
        connection.commit()
        try:
            yield
        finally:
            connection.rollback()
            connection.exec_driver_sql(f"SELECT pg_advisory_unlock{kind}({_LOCK})")
            connection.commit()

    @property
    def engine(self) -> Engine:
        """The writing engine, for migrations."""
        return self._writing

    def forget_deleted(self) -> None:
        """Takes what was deleted out of SQLite's files; PostgreSQL's vacuum does so by itself. Blocking."""
        if self.is_sqlite:
            raw = self._writing.raw_connection()
            try:
                raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
            finally:
                raw.close()

    def close(self) -> None:
        """Waits for running transactions, then closes every connection."""
        if self._group is not None:
            self._group.close()
        self._writers.shutdown(wait=True)
        self._readers.shutdown(wait=True)
        self._reading.dispose()
        self._writing.dispose()


async def _in(pool: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    # With the request's context, so that what is written knows for whom (`audit.caller`).
    return await asyncio.get_running_loop().run_in_executor(pool, contextvars.copy_context().run, call)


def _checked(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        raise SettingsError("database_url is not a database URL.") from None
    if url.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise SettingsError("database_url must begin with sqlite:/// or postgresql+psycopg://.")
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise SettingsError("database_url must name a file, because several threads open it.")
    return url


def _sqlite(url: URL, size: int, *, read_only: bool = False) -> Engine:
    path = Path(url.database or "")
    if not path.exists() and path.parent.is_dir():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        hide_parameters=True,  # they would stand in tracebacks
        connect_args={"timeout": _BUSY_MS / 1000, "check_same_thread": False},
    )
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"

    @event.listens_for(engine, "connect")
    def prepare(raw: sqlite3.Connection, _record: Any) -> None:
        raw.isolation_level = None  # the driver must not begin transactions by itself
        # SQLite's own knows ASCII only, and a search for "étoile" would miss the station "Étoile".
        raw.create_function("lower", 1, _lower, deterministic=True)
        for pragma in (*_PRAGMAS, f"query_only={'ON' if read_only else 'OFF'}"):
            raw.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _lower(text: str | None) -> str | None:
    return text if text is None else text.lower()


def _postgres(url: URL, size: int) -> Engine:
    return create_engine(
        url,
        pool_size=size,
        max_overflow=0,
        hide_parameters=True,
        pool_timeout=10,
        pool_pre_ping=True,
        isolation_level="SERIALIZABLE",
        connect_args={
            "connect_timeout": 10,
            "application_name": "meteor-cloud",
            "options": f"-c lock_timeout={_LOCK_WAIT_MS} -c idle_in_transaction_session_timeout=60000",
        },
    )


def _reason(error: Exception) -> str:
    """One sentence for the log and for the person; SQL and parameters stay out of it."""
    original = getattr(error, "orig", None) or error
    first = str(original).strip().splitlines()[0] if str(original).strip() else type(original).__name__
    return f"The store failed: {first.rstrip('.')}."
