"""Writers of SQLite that wait at the same time share a commit, and nothing else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import IntegrityError

from cloud.errors import StoreError
from cloud.store.engine import Database

_WHO: ContextVar[str] = ContextVar("who", default="nobody")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'x.db'}")
    opened.write_now(lambda c: c.exec_driver_sql("CREATE TABLE t (v TEXT PRIMARY KEY)").close())
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def commits(database: Database) -> list[int]:
    """Grows with every commit."""
    seen: list[int] = []
    event.listen(database.engine, "commit", lambda _connection: seen.append(1))
    return seen


def add(value: str, connection: Connection) -> str:
    connection.execute(text("INSERT INTO t VALUES (:v)"), {"v": value})
    return value


def values(connection: Connection) -> list[str]:
    return list(connection.execute(text("SELECT v FROM t ORDER BY v")).scalars())


class Gate:
    """A first write that holds the writing thread, so that what follows waits together."""

    def __init__(self, database: Database) -> None:
        self._open = threading.Event()
        self.held = asyncio.ensure_future(database.write(lambda _c: self._open.wait(60)))

    async def release(self) -> None:
        self._open.set()
        await self.held


async def test_writers_that_wait_together_share_one_commit(database: Database, commits: list[int]) -> None:
    gate = Gate(database)
    writes = [asyncio.ensure_future(database.write(partial(add, f"{n:02}"))) for n in range(40)]
    await asyncio.sleep(0)
    await gate.release()
    assert await asyncio.gather(*writes) == [f"{n:02}" for n in range(40)]
    assert len(commits) <= 3
    assert len(await database.read(values)) == 40


async def test_one_that_raises_takes_only_its_own_rows_along(database: Database) -> None:
    def half(connection: Connection) -> None:
        add("half", connection)
        raise LookupError("by its own wish")

    gate = Gate(database)
    writes = [
        asyncio.ensure_future(database.write(work))
        for work in (lambda c: add("a", c), half, lambda c: add("a", c), lambda c: add("b", c))
    ]
    await asyncio.sleep(0)
    await gate.release()
    first, own, twice, last = await asyncio.gather(*writes, return_exceptions=True)
    assert (first, last) == ("a", "b")
    assert isinstance(own, LookupError)
    assert isinstance(twice, IntegrityError)
    assert await database.read(values) == ["a", "b"]


async def test_when_the_transaction_fails_each_is_tried_alone(database: Database) -> None:
    """A full file: the small ones fit, the large one is told why it does not."""
    [pages] = database.write_now(lambda c: [c.exec_driver_sql("PRAGMA page_count").scalar_one()])
    database.write_now(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count = {pages + 3}").close())
    gate = Gate(database)
    writes = [
        asyncio.ensure_future(database.write(partial(add, value))) for value in ("a", "x" * 40_000, "b")
    ]
    await asyncio.sleep(0)
    await gate.release()
    first, large, last = await asyncio.gather(*writes, return_exceptions=True)
    assert (first, last) == ("a", "b")
    assert isinstance(large, StoreError)
    assert "full" in str(large)
    assert await database.read(values) == ["a", "b"]


async def test_a_cancelled_write_that_has_not_begun_never_does(database: Database) -> None:
    gate = Gate(database)
    gone = asyncio.ensure_future(database.write(lambda c: add("gone", c)))
    stays = asyncio.ensure_future(database.write(lambda c: add("stays", c)))
    await asyncio.sleep(0)
    gone.cancel()
    with suppress(asyncio.CancelledError):
        await gone
    await asyncio.sleep(0)  # and the thread is told
    await gate.release()
    await stays
    assert await database.read(values) == ["stays"]


async def test_work_runs_in_its_callers_context(database: Database) -> None:
    async def caller(name: str) -> str:
        _WHO.set(name)
        return await database.write(lambda _c: _WHO.get())

    gate = Gate(database)
    asked = [asyncio.ensure_future(caller(name)) for name in ("ada", "eve")]
    await asyncio.sleep(0)
    await gate.release()
    assert await asyncio.gather(*asked) == ["ada", "eve"]


async def test_what_was_handed_in_before_the_end_is_written(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'y.db'}")
    database.write_now(lambda c: c.exec_driver_sql("CREATE TABLE t (v TEXT PRIMARY KEY)").close())
    write = asyncio.ensure_future(database.write(lambda c: add("last", c)))
    await asyncio.sleep(0)
    await asyncio.to_thread(database.close)
    assert await write == "last"
