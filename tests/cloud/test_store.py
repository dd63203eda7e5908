"""The store keeps its promises on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, func, insert, select, text, update
from sqlalchemy.exc import DatabaseError, IntegrityError

from cloud.errors import SettingsError, StoreError
from cloud.security import audit
from cloud.security.replay import spend
from cloud.store import schema
from cloud.store.engine import Database
from cloud.store.migrate import current, newest, upgrade


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    upgrade(opened)
    try:
        yield opened
    finally:
        opened.close()


def account(name: str, **changes: Any) -> dict[str, Any]:
    return {"id": name, "email": f"{name}@x", "name": name, "password_hash": "-", "created": 0} | changes


def add(connection: Connection, name: str, **changes: Any) -> None:
    connection.execute(insert(schema.account).values(**account(name, **changes)))


def names(connection: Connection) -> list[str]:
    return list(connection.execute(select(schema.account.c.id).order_by(schema.account.c.id)).scalars())


def test_migrations_and_tables_agree(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
    assert current(database) == newest() == "0004"


def test_an_upgrade_of_a_current_database_changes_nothing(database: Database) -> None:
    database.write_now(lambda connection: add(connection, "ada"))
    upgrade(database)
    assert database.read_now(names) == ["ada"]


def test_a_database_of_a_newer_program_is_refused(database: Database) -> None:
    database.write_now(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")).close())
    with pytest.raises(StoreError, match="another version"):
        upgrade(database)


async def test_what_was_written_can_be_read_by_the_next_reader(database: Database) -> None:
    await database.write(lambda connection: add(connection, "ada"))
    assert await database.read(names) == ["ada"]


async def test_an_exception_takes_everything_back(database: Database) -> None:
    def half(connection: Connection) -> None:
        add(connection, "ada")
        raise KeyError("half way")

    with pytest.raises(KeyError, match="half way"):
        await database.write(half)
    assert await database.read(names) == []


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises((StoreError, DatabaseError)):
        await database.read(lambda connection: add(connection, "ada"))
    assert await database.read(names) == []


async def test_a_hundred_concurrent_increments_lose_none(database: Database) -> None:
    await database.write(lambda connection: add(connection, "counter"))
    row = schema.account.c.id == "counter"

    def increment(connection: Connection) -> None:
        seen = connection.execute(select(schema.account.c.created).where(row)).scalar_one()
        connection.execute(update(schema.account).where(row).values(created=seen + 1))

    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(database.write(increment))
    total = await database.read(
        lambda connection: connection.execute(select(schema.account.c.created).where(row)).scalar_one()
    )
    assert total == 100


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_lost_race_is_run_again_and_a_won_one_is_not(database: Database) -> None:
    await database.write(lambda connection: add(connection, "counter"))
    meeting, runs = threading.Barrier(2, timeout=10), 0
    lock = threading.Lock()

    def increment(connection: Connection) -> None:
        nonlocal runs
        with lock:
            runs += 1
            first_round = runs <= 2
        seen = connection.execute(select(schema.account.c.created)).scalar_one()
        if first_round:
            meeting.wait()  # both have read before either writes: one must lose
        connection.execute(update(schema.account).values(created=seen + 1))

    await asyncio.gather(database.write(increment), database.write(increment))
    query = select(schema.account.c.created)
    assert await database.read(lambda connection: connection.execute(query).scalar_one()) == 2
    assert runs == 3


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_connection_that_dies_in_a_transaction_is_a_store_error_and_replaced(
    database: Database,
) -> None:
    def die(connection: Connection) -> None:
        add(connection, "ada")
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(StoreError):
        await database.write(die)
    assert await database.read(names) == []
    await database.write(lambda connection: add(connection, "ada"))
    assert await database.read(names) == ["ada"]


async def test_a_broken_rule_of_the_schema_is_the_callers_error(database: Database) -> None:
    await database.write(lambda connection: add(connection, "ada"))
    with pytest.raises(IntegrityError):
        await database.write(lambda connection: add(connection, "ada", email="other@x"))
    with pytest.raises(IntegrityError):
        await database.write(
            lambda c: c.execute(
                insert(schema.config).values(
                    device_id="nobody", version=1, desired={}, envelope={}, created=0, author="x"
                )
            ).close()
        )


async def test_a_key_cannot_have_two_live_claims(database: Database) -> None:
    def claim(name: str, status: str) -> dict[str, Any]:
        return {
            "id": name,
            "mode": "device_code",
            "keyid": "k",
            "status": status,
            "progress": 40,
            "created": 0,
            "expires": 1,
        }

    def put(name: str, status: str) -> Any:
        return lambda c: c.execute(insert(schema.claim).values(**claim(name, status))).close()

    await database.write(put("one", "expired"))
    await database.write(put("two", "scanning"))
    with pytest.raises(IntegrityError):
        await database.write(put("three", "claiming"))


async def test_json_comes_back_as_it_went_in(database: Database) -> None:
    value: dict[str, Any] = {"text": "Ä€😀", "none": None, "list": [1, 2.5, True], "empty": {}}
    await database.write(
        lambda c: c.execute(
            insert(schema.claim).values(
                id="c", mode="token", status="pending", progress=10, created=0, expires=2**53, hardware=value
            )
        ).close()
    )
    query = select(schema.claim.c.hardware, schema.claim.c.location, schema.claim.c.expires)
    row = await database.read(lambda connection: connection.execute(query).one())
    assert tuple(row) == (value, None, 2**53)


async def test_a_nonce_counts_once_and_the_window_survives_a_new_process(
    database_url: str, database: Database
) -> None:
    def used(connection: Connection, sequence: int, boot: int = 7) -> int | None:
        refusal = spend(connection, "k", boot, sequence, 0)
        return refusal.min_boot_ctr if refusal else None

    assert await database.write(lambda c: [used(c, n) for n in (70, 71, 7, 8)]) == [None, None, 8, None]
    again = Database(database_url)
    try:
        assert await again.write(lambda c: [used(c, n) for n in (70, 69, 8, 72)]) == [8, None, 8, None]
        assert await again.write(lambda c: [used(c, 1, boot=6), used(c, 1, boot=8)]) == [8, None]
        largest = await again.write(lambda c: spend(c, "k", 9, 2**63, 0))
        assert largest is not None
        assert largest.reason == "bad_signature"
    finally:
        again.close()


async def test_the_audit_chain_shows_every_kind_of_tampering(database: Database) -> None:
    def fill(connection: Connection) -> None:
        for number in range(5):
            audit.record(connection, number, "system", "tested", "subject", number=number)

    async def broken_after(statement: str) -> int | None:
        def try_it(connection: Connection) -> int | None:
            with connection.begin_nested() as inner:
                connection.execute(text(statement))
                found = audit.first_broken(connection)
                inner.rollback()
            return found

        return await database.write(try_it)

    await database.write(fill)
    assert await database.read(audit.first_broken) is None
    assert await broken_after("UPDATE audit SET action = 'other' WHERE seq = 3") == 3
    assert await broken_after("UPDATE audit SET detail = '{}' WHERE seq = 5") == 5
    assert await broken_after("DELETE FROM audit WHERE seq = 2") == 2
    assert await broken_after("UPDATE audit SET at = at + 1 WHERE seq = 1") == 1


async def test_concurrent_audit_entries_make_one_chain(database: Database) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(
                database.write(lambda c, n=number: audit.record(c, n, "system", "tested", "s"))  # type: ignore[misc]
            )
    assert await database.read(audit.first_broken) is None
    counted = select(func.count()).select_from(schema.audit)
    assert await database.read(lambda c: c.execute(counted).scalar_one()) == 20


def test_a_sqlite_file_is_private_and_durable(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'private.db'}")
    try:
        upgrade(database)
        assert (tmp_path / "private.db").stat().st_mode & 0o777 == 0o600
        pragmas = {
            name: database.write_now(lambda c, n=name: c.exec_driver_sql(f"PRAGMA {n}").scalar())  # type: ignore[misc]
            for name in ("journal_mode", "synchronous", "foreign_keys", "trusted_schema")
        }
        assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "trusted_schema": 0}
    finally:
        database.close()


def test_a_database_that_is_not_there_is_a_store_error(tmp_path: Path) -> None:
    for url in (
        f"sqlite:///{tmp_path / 'no folder' / 'x.db'}",
        f"postgresql+psycopg://nobody@/none?host={tmp_path}",
    ):
        database = Database(url)
        try:
            with pytest.raises(StoreError):
                database.write_now(names)
            with pytest.raises(StoreError):
                upgrade(database)
        finally:
            database.close()


def test_a_damaged_sqlite_file_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "bad.db").write_bytes(b"this is no database" * 100)
    database = Database(f"sqlite:///{tmp_path / 'bad.db'}")
    try:
        with pytest.raises(StoreError, match="not a database"):
            database.read_now(names)
    finally:
        database.close()


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://x/y", "sqlite://", "sqlite:///:memory:", "postgresql+asyncpg://x/y"]
)
def test_only_the_two_supported_kinds_of_database_are_accepted(url: str) -> None:
    with pytest.raises(SettingsError, match="database_url"):
        Database(url)
