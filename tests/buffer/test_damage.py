"""Damage to the file, of every class: the station goes on at once, and what can be read comes back."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from buffer import health, quarantine
from buffer.message import Draft, MediaRef, Message, Priority, boot_of
from buffer.rescue import Incident
from buffer.schema import PAGE_BYTES
from buffer.store import Store
from tests.buffer.world import ManualClock, draft

COUNT = 2000
USED_LOG_BYTES = 2_000_000
"""So much of the log is filled, at least, when all messages are in it."""
SHA = "ab" * 32


def body(number: int) -> bytes:
    return f"<{number}>".encode() * 150


async def fill(store: Store, count: int = COUNT) -> list[int]:
    priorities = (Priority.HIGH, Priority.NORMAL, Priority.LOW)
    drafts = [draft(priorities[n * 3 // count], body(n), key=f"key-{n}") for n in range(count)]
    return [receipt.id for receipt in await asyncio.gather(*map(store.put, drafts))]


async def checkpoint(store: Store) -> None:
    await store._read(lambda c: c.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone())


async def everything(store: Store) -> dict[int, Message]:
    found: dict[int, Message] = {}
    while batch := await store.lease(500, max_bytes=50_000_000):
        found |= {message.id: message for message in batch}
    return found


def leaf_pages(content: bytes) -> list[int]:
    """Numbers, from 0, of the table leaves in the middle of the file that hold messages."""
    pages = range(len(content) // PAGE_BYTES)
    kinds = [
        n for n in pages if content[n * PAGE_BYTES] == 13 and b"><" in content[n * PAGE_BYTES :][:PAGE_BYTES]
    ]
    return kinds[len(kinds) // 4 : len(kinds) * 3 // 4]


def patch(path: Path, offset: int, new: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(new)


def zeroed_page(path: Path) -> None:
    patch(path, leaf_pages(path.read_bytes())[7] * PAGE_BYTES, b"\x00" * PAGE_BYTES)


def five_zeroed_pages(path: Path) -> None:
    for number in leaf_pages(path.read_bytes())[5:200:40]:
        patch(path, number * PAGE_BYTES, b"\x00" * PAGE_BYTES)


def flipped_payload_bit(path: Path) -> None:
    content = path.read_bytes()
    where = content.index(b"<1000><1000>") + 20
    patch(path, where, bytes([content[where] ^ 1]))


def cut_file(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 7 // 10 // 512 * 512)


def first_page_destroyed(path: Path) -> None:
    patch(path, 0, b"\xa5" * PAGE_BYTES)


def first_page_zeroed(path: Path) -> None:
    patch(path, 0, b"\x00" * PAGE_BYTES)


def garbage(path: Path) -> None:
    path.write_bytes(b"this is not a database" * 5000)


def log_damaged(path: Path) -> None:
    log = path.with_name(path.name + "-wal")
    patch(log, USED_LOG_BYTES // 2, b"\xa5" * 20_000)


def log_is_garbage(path: Path) -> None:
    log = path.with_name(path.name + "-wal")
    log.write_bytes(b"\xa5" * log.stat().st_size)


def log_deleted(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


@dataclass(frozen=True)
class Fault:
    """A fault, how many of COUNT come back at least, and whether the file is moved aside for it.

    A log is damaged from half of it on: what was not yet copied from there into the main file is gone, but
    SQLite sees a log that ends early, which is no damage to it.
    """

    inflict: Callable[[Path], None]
    back: int
    moved: bool
    in_log: bool = False


FAULTS = [
    Fault(zeroed_page, COUNT - 8, moved=True),
    Fault(five_zeroed_pages, COUNT - 40, moved=True),
    Fault(flipped_payload_bit, COUNT - 1, moved=False),
    Fault(cut_file, COUNT // 2, moved=True),
    Fault(first_page_destroyed, COUNT, moved=True),
    Fault(first_page_zeroed, COUNT, moved=True),
    Fault(garbage, 0, moved=True),
    Fault(log_damaged, COUNT // 4, moved=False, in_log=True),
    Fault(log_is_garbage, 0, moved=False, in_log=True),
    Fault(log_deleted, 0, moved=False, in_log=True),
]


async def crashed(folder: Path, *, in_log: bool) -> tuple[Path, list[int]]:
    """A buffer as a power cut leaves it, everything in the main file or everything in the log."""
    source, target = folder / "running", folder / "crashed"
    target.mkdir()
    async with await Store.open(source / "buffer.db") as store:
        await store._read(lambda c: c.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone())
        ids = await fill(store)
        if not in_log:
            await checkpoint(store)
        for file in source.glob("buffer.db*") if in_log else [source / "buffer.db", source / "buffer.db.run"]:
            shutil.copy(file, target)
    return target / "buffer.db", ids


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.inflict.__name__)
async def test_a_damaged_buffer_does_not_stop_the_station(tmp_path: Path, fault: Fault) -> None:
    path, ids = await crashed(tmp_path, in_log=fault.in_log)
    fault.inflict(path)
    async with await Store.open(path) as store:
        fresh = await store.put(draft(Priority.CRITICAL, b"during", key="during"))
        await store.rescued()
        found = await everything(store)
        assert found.pop(fresh.id).payload == b"during"
        assert found.keys() <= set(ids)
        assert len(found) >= fault.back
        assert all(message.payload == body(ids.index(i)) for i, message in found.items())
        assert boot_of(fresh.id) > boot_of(ids[0])
        assert [len(store.incidents), len(list(path.parent.glob("quarantine/*")))] == [fault.moved] * 2
        depth = await store.depth()
        assert (depth.count, depth.quarantined) == (len(found) + 1, int(fault.moved))
        assert depth.salvaged == (len(found) if fault.moved else 0)
        assert (await store.put(draft(key="during"))).duplicate is True
    async with await Store.open(path) as store:
        assert len(await everything(store)) == len(found) + 1
        assert (await store.depth()).quarantined == int(fault.moved)


async def test_damage_under_a_running_store_is_not_felt_by_its_producers(tmp_path: Path) -> None:
    path = tmp_path / "buffer.db"
    async with await Store.open(path) as store:
        ids = await fill(store, 6000)
        epoch = store.epoch
        await checkpoint(store)
        five_zeroed_pages(path)
        found = await everything(store)  # reads more than the cache holds, so it meets the damage
        later = await store.put(draft(payload=b"later"))
        await store.rescued()
        found |= await everything(store)
        assert found.keys() - {later.id} <= set(ids)
        assert len(found) >= 6000 - 40
        [incident] = store.incidents
        assert incident.lost is not None
        assert incident.recovered + incident.lost == 6000
        assert store.epoch != epoch
        assert boot_of(later.id) == boot_of(ids[0]) + 1
        assert (await store.depth()).lost == incident.lost


async def test_a_large_file_is_checked_beside_the_work_and_replaced_when_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CHECK_AT_ONCE_BYTES", 100_000)
    path, _ = await crashed(tmp_path, in_log=False)
    zeroed_page(path)
    async with await Store.open(path) as store:
        for _ in range(200):
            await asyncio.sleep(0.02)
            await store.rescued()
            if store.incidents:
                break
        assert len(await everything(store)) >= COUNT - 8


async def test_after_a_clean_stop_the_file_is_not_read_through(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks: list[Path] = []

    def counting(connection: sqlite3.Connection, target: Path) -> bool:
        checks.append(target)
        return True

    monkeypatch.setattr("buffer.opening.check_now", counting)
    for _ in range(2):
        await (await Store.open(path)).close()
    assert checks == []
    store = await Store.open(path)
    await store._writer.close()  # as a crash: nothing is written down
    store._held.close()
    await (await Store.open(path)).close()
    assert checks == [path]


async def test_the_owner_is_told_by_a_critical_message(tmp_path: Path) -> None:
    path, _ = await crashed(tmp_path, in_log=False)
    zeroed_page(path)

    def alert(incident: Incident) -> Draft:
        return Draft("alert", f"{incident.recovered}".encode(), Priority.CRITICAL)

    async with await Store.open(path, alert=alert) as store:
        await store.rescued()
        [message] = await store.lease(1)
        assert (message.kind, message.priority) == ("alert", Priority.CRITICAL)
        assert int(message.payload) >= COUNT - 8


async def test_dead_messages_media_and_notes_come_back_too(tmp_path: Path, clock: ManualClock) -> None:
    source, path = tmp_path / "a" / "buffer.db", tmp_path / "b" / "buffer.db"
    path.parent.mkdir()
    media = (MediaRef(SHA, 7, "image/jpeg", "one.jpg", "frame"),)
    async with await Store.open(source, clock=clock) as store:
        kept = await store.put(Draft("event", b"with media", Priority.HIGH, media=media, expires_in=60))
        dead = await store.put(draft(payload=b"dead", key="dead"))
        sent = await store.put(draft(payload=b"sent", key="sent"))
        await store.nack([dead.id], reason="no such camera", retry_in=None, permanent=True)
        await store.ack([sent.id])
        await store.set_meta("breaker", "open")
        await store.clock_is_right()
        await checkpoint(store)
        for file in source.parent.glob("buffer.db*"):
            shutil.copy(file, path.parent)
    first_page_destroyed(path)
    path.with_name("buffer.db-wal").unlink()
    clock.pass_time(5)
    async with await Store.open(path, clock=clock) as store:
        await store.rescued()
        [message] = await store.lease(10)
        assert (message.id, message.uuid, message.media) == (kept.id, kept.uuid, media)
        assert message.clock_trusted is True
        assert [(row.id, row.reason) for row in await store.rows(10) if row.state == "dead"] == [
            (dead.id, "no such camera")
        ]
        assert (await store.put(draft(key="sent"))).duplicate is True
        assert await store.get_meta("breaker") == "open"


async def test_a_rescue_that_was_interrupted_goes_on_at_the_next_start(tmp_path: Path) -> None:
    path, ids = await crashed(tmp_path, in_log=False)
    first_page_destroyed(path)
    store = await Store.open(path)
    store._rescue._stop.set()
    await store.close()
    async with await Store.open(path) as store:
        await store.rescued()
        assert (await everything(store)).keys() == set(ids)


async def test_a_move_that_was_interrupted_is_completed(tmp_path: Path) -> None:
    path, ids = await crashed(tmp_path, in_log=True)
    folder = quarantine.move_aside(path, "as a test")
    log = path.with_name("buffer.db-wal")
    (folder / log.name).rename(log)
    async with await Store.open(path) as store:
        await store.rescued()
        assert (await everything(store)).keys() == set(ids)


async def test_only_two_damaged_files_are_kept(path: Path) -> None:
    for number in range(4):
        async with await Store.open(path) as store:
            await store.put(draft(payload=b"%d" % number))
        garbage(path)
    async with await Store.open(path) as store:
        await store.rescued()
        assert sorted(folder.name for folder in path.parent.glob("quarantine/*")) == ["000003", "000004"]
        assert len(store.incidents) <= 2


async def test_a_deleted_file_does_not_make_ids_come_again(path: Path) -> None:
    async with await Store.open(path) as store:
        first = await store.put(draft())
    for file in path.parent.glob("buffer.db"):
        file.unlink()
    async with await Store.open(path) as store:
        second = await store.put(draft())
    assert second.id > first.id


async def test_what_came_in_again_before_the_rescue_is_not_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, ids = await crashed(tmp_path, in_log=False)
    first_page_destroyed(path)
    monkeypatch.setattr("buffer.rescue.Rescue.nudge", lambda *_: None)
    store = await Store.open(path)
    again = await store.put(draft(Priority.HIGH, body(0), key="key-0"))
    await store.close()
    monkeypatch.undo()
    async with await Store.open(path) as store:
        await store.rescued()
        found = await everything(store)
        assert found.keys() == (set(ids) - {ids[0]}) | {again.id}


async def test_damage_is_told_in_the_log_with_the_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    path, _ = await crashed(tmp_path, in_log=False)
    garbage(path)
    async with await Store.open(path) as store:
        await store.rescued()
    assert "quarantine/000001" in caplog.text
    assert "messages were recovered from" in caplog.text
