"""The write-ahead log: copied back in idle moments, bounded in length, whatever readers do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from buffer import log as log_of_sqlite
from buffer import reader
from buffer.errors import LogHeld, StorageFailed
from buffer.message import Priority
from buffer.reader import open_reader
from buffer.store import Store
from tests.buffer.world import draft

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024
FORGETFUL = (
    "import sqlite3, sys\n"
    "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
    "c.execute('BEGIN'); c.execute('SELECT count(*) FROM messages').fetchone()\n"
    "print('reading', flush=True); sys.stdin.readline()\n"
)


async def test_the_log_is_copied_back_in_an_idle_moment(store: Store, path: Path) -> None:
    for _ in range(3):
        await store.put(draft(payload=b"x" * MIB))
    assert path.stat().st_size < MIB
    for _ in range(100):
        await asyncio.sleep(0.05)
        if path.stat().st_size > 3 * MIB:
            return
    raise AssertionError("the log was never copied back")


async def test_a_reader_that_forgets_its_transaction_is_named_and_cannot_fill_the_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(log_of_sqlite, "HELD_BYTES", 10 * MIB)
    log = path.with_name(path.name + "-wal")
    async with await Store.open(path) as store:
        await store.put(draft())
        with subprocess.Popen(
            [sys.executable, "-c", FORGETFUL, str(path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert await asyncio.to_thread(process.stdout.readline) == "reading\n"
            taken = 0
            with pytest.raises(LogHeld, match="BUF-015"):
                for _ in range(100):
                    await store.put(draft(Priority.NORMAL, b"x" * MIB))
                    taken += 1
            assert f"(process {process.pid})" in caplog.text
            assert log.stat().st_size < 20 * MIB
            await store.put(draft(Priority.CRITICAL, b"urgent"))
            await store.ack([message.id for message in await store.lease(5)])
            process.communicate("\n")
        for _ in range(4):
            await store.put(draft(Priority.HIGH, b"x" * MIB))
        await store.put(draft(Priority.NORMAL))
        assert taken > 5
        assert (await store.depth()).count >= taken
        assert log.stat().st_size < 10 * MIB


async def test_a_reader_of_ours_cannot_look_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with await Store.open(path) as store:
        await asyncio.gather(*(store.put(draft()) for _ in range(3000)))
        monkeypatch.setattr(reader, "MOMENT_SECONDS", -1.0)
        with open_reader(path) as looking, pytest.raises(StorageFailed, match="INTERRUPT"):
            looking.depth()
        monkeypatch.undo()
        with open_reader(path) as looking:
            assert looking.depth().count == 3000
