"""Trouble with the file: full, damaged, taken, too new, read by another process at the same time."""

from __future__ import annotations

import asyncio
import logging
import resource
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from buffer.capacity import Limits
from buffer.clock import stamp
from buffer.errors import (
    BufferInUse,
    BufferTooNew,
    DiskFull,
    NoBuffer,
    StorageFailed,
    StoreError,
    from_sqlite,
)
from buffer.inspection import export, inspect
from buffer.message import Priority, compose_id
from buffer.reader import open_reader
from buffer.record import COLUMNS, from_draft
from buffer.schema import MIGRATIONS, connect_writer, migrate
from buffer.store import Store
from tests.buffer.world import ManualClock, draft

ROOT = Path(__file__).parents[2]


async def test_a_second_writer_in_another_process_is_refused_by_name(path: Path) -> None:
    program = (
        "import asyncio, pathlib, sys\n"
        "from buffer.store import Store\n"
        "asyncio.run(Store.open(pathlib.Path(sys.argv[1])))\n"
    )
    async with await Store.open(path) as store:
        other = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", program, str(path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert other.returncode == 1
        assert "BUF-002" in other.stderr
        await store.put(draft())


async def test_a_second_writer_in_this_process_is_refused_until_the_first_is_closed(path: Path) -> None:
    async with await Store.open(path):
        with pytest.raises(BufferInUse, match="in use by process"):
            await Store.open(path)
    await (await Store.open(path)).close()


async def test_only_one_connection_ever_writes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def counting(target: Path, pages: int) -> sqlite3.Connection:
        opened.append(target)
        return connect_writer(target, pages)

    monkeypatch.setattr("buffer.opening.connect_writer", counting)
    monkeypatch.setattr("buffer.store.connect_writer", counting)
    async with await Store.open(path) as store:
        receipts = await asyncio.gather(*(store.put(draft()) for _ in range(50)))
        await store.ack([receipt.id for receipt in receipts])
    assert opened == [path]


async def test_a_full_file_is_an_error_with_a_code_and_the_store_stays_usable(path: Path) -> None:
    limits = Limits(page_limit=60)
    async with await Store.open(path, limits=limits) as store:
        stored = []
        with pytest.raises(DiskFull, match="BUF-003"):
            while True:
                stored.append(await store.put(draft(Priority.CRITICAL, b"x" * 3000)))
        assert len(stored) > 10
        leased = await store.lease(len(stored))
        assert [message.id for message in leased] == [receipt.id for receipt in stored]
        assert await store.ack([message.id for message in leased]) == len(stored)
        assert (await store.put(draft(Priority.CRITICAL, b"x" * 3000))).duplicate is False


async def test_a_full_file_makes_the_least_urgent_give_way(path: Path) -> None:
    limits = Limits(page_limit=100, eviction_batch=16)
    async with await Store.open(path, limits=limits) as store:
        with pytest.raises(DiskFull):
            for _ in range(200):
                await store.put(draft(Priority.HIGH, b"x" * 2000))
        [first, *_] = await store.lease(20)
        await store.ack([message.id for message in await store.lease(20)] + [first.id])
        for _ in range(10):
            await store.put(draft(Priority.LOW, b"x" * 2000))
        with pytest.raises(DiskFull):
            for _ in range(200):
                await store.put(draft(Priority.CRITICAL, b"x" * 2000))
        depth = await store.depth()
        assert depth.levels[Priority.LOW].count == 0
        assert depth.evicted == 10


async def test_one_message_too_many_does_not_fail_its_neighbours(path: Path) -> None:
    async with await Store.open(path, limits=Limits(page_limit=60)) as store:
        sizes = [100, 100, 400_000, 100, 100]
        results = await asyncio.gather(
            *(store.put(draft(Priority.CRITICAL, b"x" * size)) for size in sizes), return_exceptions=True
        )
        assert [isinstance(result, DiskFull) for result in results] == [False, False, True, False, False]
        assert (await store.depth()).count == 4


async def test_a_disk_that_fails_in_a_commit_fails_the_put_and_nothing_else(path: Path) -> None:
    """The kernel refuses to let any file grow (RLIMIT_FSIZE), so the write really fails."""
    async with await Store.open(path) as store:
        before = await store.put(draft(payload=b"before"))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        try:
            with pytest.raises(StoreError) as caught:
                await store.put(draft(payload=b"x" * 1_000_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert caught.value.code in ("BUF-003", "BUF-005")
        after = await store.put(draft(payload=b"after"))
        assert [message.id for message in await store.lease(10)] == [before.id, after.id]


async def test_a_mistake_in_a_job_reaches_its_caller_and_the_writer_goes_on(store: Store) -> None:
    def mistake(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO meta VALUES ('note:half', 'done')")
        raise ZeroDivisionError

    results = await asyncio.gather(
        store.put(draft()),
        store._write(mistake),
        store.put(draft()),
        return_exceptions=True,
    )
    assert [type(result).__name__ for result in results] == ["Receipt", "ZeroDivisionError", "Receipt"]
    assert await store.get_meta("half") is None
    assert (await store.depth()).count == 2


async def test_a_flipped_bit_in_a_payload_is_found_and_set_aside(path: Path) -> None:
    async with await Store.open(path) as store:
        bad = await store.put(draft(Priority.HIGH, b"A" * 5000))
        await store.put(draft(Priority.NORMAL, b"good"))
    content = path.read_bytes()
    where = content.index(b"A" * 100) + 50
    path.write_bytes(content[:where] + b"B" + content[where + 1 :])
    assert inspect(path).problems == ()  # SQLite itself sees nothing wrong
    async with await Store.open(path) as store:
        assert [message.payload for message in await store.lease(10)] == [b"good"]
        [dead] = [row for row in await store.rows(10) if row.state == "dead"]
        assert dead.id == bad.id
        assert dead.reason is not None
        assert dead.reason.startswith("BUF-012")


async def test_a_file_of_a_later_version_is_refused_and_left_alone(path: Path) -> None:
    await (await Store.open(path)).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(BufferTooNew, match="BUF-007"):
        await Store.open(path)
    with pytest.raises(BufferTooNew, match="BUF-007"):
        open_reader(path)


def test_a_new_version_is_reached_step_by_step_and_a_failed_step_changes_nothing(path: Path) -> None:
    path.parent.mkdir()
    connection = connect_writer(path, 1000)
    migrate(connection)
    broken = (*MIGRATIONS, ("ALTER TABLE messages ADD COLUMN colour TEXT", "THIS IS NOT SQL"))
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, broken)
    columns = {row[1] for row in connection.execute("PRAGMA table_info(messages)")}
    assert "colour" not in columns
    migrate(connection, (*MIGRATIONS, ("ALTER TABLE messages ADD COLUMN colour TEXT",)))
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS) + 1
    assert "colour" in {row[1] for row in connection.execute("PRAGMA table_info(messages)")}
    connection.close()


async def test_a_disk_that_refuses_the_idle_work_does_not_end_the_writer(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[float] = []

    def refuse(*_: object) -> float:
        refused.append(1)
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr("buffer.writer._IDLE_SECONDS", 0.01)
    monkeypatch.setattr("buffer.writer.Writer._keep_room", refuse)
    async with await Store.open(path) as store:
        store._writer._upkeep_in = 0.01
        await store.put(draft())
        async with asyncio.timeout(60):
            while not refused:  # noqa: ASYNC110 - another thread does it
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert (await asyncio.wait_for(store.put(draft()), 60)).duplicate is False


async def test_a_file_of_the_first_version_keeps_what_waits_and_what_is_known(path: Path) -> None:
    path.parent.mkdir()
    connection = connect_writer(path, 1000)
    migrate(connection, MIGRATIONS[:1])
    wanted = draft(Priority.HIGH, b"from before", key="one")
    record = from_draft(wanted, compose_id(Priority.HIGH, 1, 7), bytes(16), stamp(ManualClock()), 5)
    connection.execute("INSERT INTO boots VALUES (1, 'boot-0', 0, 0, 0, 0, NULL)")
    marks = ", ".join("?" * len(record))
    connection.execute(f"INSERT INTO messages ({COLUMNS}) VALUES ({marks})", record)
    connection.execute("INSERT INTO seen VALUES (1, 'one', 1, ?, ?)", (record.id, bytes(16)))
    connection.execute("UPDATE tally SET delivered = 3")
    connection.close()
    async with await Store.open(path) as store:
        assert (await store.put(wanted)).duplicate
        [message] = await store.lease(10)
        assert (message.payload, message.id) == (b"from before", record.id)
        depth = await store.depth()
        assert (depth.count, depth.delivered) == (1, 3)


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageFailed, match=r"BUF-005.*folder"):
        await Store.open(tmp_path / "file" / "buffer.db")


async def test_a_reader_sees_the_buffer_while_its_owner_writes(path: Path, clock: ManualClock) -> None:
    async with await Store.open(path, clock=clock) as store:
        receipt = await store.put(draft(Priority.HIGH, b"12345", key="one"))
        dead = await store.put(draft(Priority.LOW, b"1"))
        await store.nack([dead.id], reason="no", retry_in=None, permanent=True)
        with open_reader(path, clock=clock) as reader:
            clock.pass_time(7)
            mine, theirs = reader.depth(), await store.depth()
            assert mine == theirs
            assert mine.levels[Priority.HIGH].oldest_age == 7.0
            assert reader.rows(10) == await store.rows(10)
            await store.ack([receipt.id])
            assert (reader.depth().count, reader.depth().delivered) == (0, 1)


async def test_a_reader_in_another_thread_and_a_busy_writer_do_not_hinder_each_other(path: Path) -> None:
    async with await Store.open(path) as store:
        await store.put(draft())
        counts: list[int] = []
        done = threading.Event()

        def read() -> None:
            with open_reader(path) as reader:
                while not done.is_set():
                    counts.append(reader.depth().count)
                counts.append(reader.depth().count)

        reading = asyncio.create_task(asyncio.to_thread(read))
        for _ in range(20):
            await asyncio.gather(*(store.put(draft()) for _ in range(20)))
        done.set()
        await reading
    assert counts == sorted(counts)
    assert counts[-1] == 401


async def test_a_reader_works_after_a_clean_stop_and_leaves_no_file_behind(path: Path) -> None:
    async with await Store.open(path) as store:
        await store.put(draft())
    before = sorted(path.parent.iterdir())
    with open_reader(path) as reader:
        assert reader.depth().count == 1
        with pytest.raises(sqlite3.OperationalError):
            reader.connection.execute("DELETE FROM messages")
    assert sorted(path.parent.iterdir()) == before


async def test_a_reader_after_a_reboot_does_not_count_the_time_without_power(
    path: Path, clock: ManualClock
) -> None:
    async with await Store.open(path, clock=clock) as store:
        await store.put(draft())
        clock.pass_time(20)
    clock.reboot("boot-2", powered_off=9999)
    with open_reader(path, clock=clock) as reader:
        assert reader.depth().levels[Priority.NORMAL].oldest_age == 20.0


def test_a_reader_without_a_buffer_says_so(path: Path) -> None:
    with pytest.raises(NoBuffer, match="BUF-014"):
        open_reader(path)


async def test_support_can_look_into_the_file(path: Path) -> None:
    async with await Store.open(path) as store:
        await store.put(draft(Priority.HIGH, b"12345", key="one"))
        looked = inspect(path)
        assert (looked.version, looked.epoch, looked.problems) == (len(MIGRATIONS), store.epoch, ())
    assert looked.rows["messages"] == looked.rows["seen"] == looked.rows["tally"] == 1
    assert looked.log_bytes > 0
    assert [row["payload"] for row in export(path, "messages")] == [b"12345"]
    with pytest.raises(KeyError):
        export(path, "sqlite_secret")


async def test_a_reader_that_stays_in_a_transaction_is_told_in_the_log(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="buffer.log")
    async with await Store.open(path) as store:
        await store.put(draft())
        with open_reader(path) as reader:
            reader.connection.execute("BEGIN")
            reader.connection.execute("SELECT count(*) FROM messages").fetchone()
            for _ in range(8):
                await store.put(draft(payload=b"x" * 1_000_000))
            reader.connection.execute("COMMIT")
        await store.depth()
    assert "a reader keeps" in caplog.text


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("SQLITE_FULL", "BUF-003"),
        ("SQLITE_CORRUPT_INDEX", "BUF-006"),
        ("SQLITE_NOTADB", "BUF-006"),
        ("SQLITE_IOERR_FSYNC", "BUF-005"),
        ("SQLITE_READONLY_DIRECTORY", "BUF-005"),
    ],
)
def test_every_database_error_has_a_code(name: str, code: str) -> None:
    error = sqlite3.OperationalError("as SQLite says")
    error.sqlite_errorname = name
    assert from_sqlite(error).code == code
