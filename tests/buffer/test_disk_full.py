"""A disk that others filled to the last byte: a real small file system, mounted for the test."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from buffer.capacity import Limits
from buffer.errors import DiskFull
from buffer.message import Priority
from buffer.schema import connect_writer
from buffer.space import Space
from buffer.store import Store
from tests.buffer.world import draft

MIB = 1024 * 1024
LIMITS = Limits(max_bytes=64 * MIB, ballast_bytes=12 * MIB, own_bytes=16 * MIB)


def run(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """An ext4 of 96 MB on a loop device, or a tmpfs of that size."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    image, mount = tmp_path / "image", tmp_path / "disk"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(96 * MIB)
    loop = run("mkfs.ext4", "-q", "-m", "0", str(image)) and run(
        "mount", "-o", "loop", str(image), str(mount)
    )
    if not loop and not run("mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(mount)):
        pytest.skip("neither a loop device nor a tmpfs can be mounted here")
    yield mount
    subprocess.run(["umount", "--lazy", str(mount)], check=True)


def fill(disk: Path) -> None:
    """Use up every byte, as root may."""
    handle = os.open(disk / "film", os.O_WRONLY | os.O_CREAT)
    for step in (MIB, 4096):
        with suppress(OSError):
            while True:
                os.posix_fallocate(handle, os.fstat(handle).st_size, step)
    os.fsync(handle)
    os.close(handle)


async def settled(store: Store) -> None:
    """The store took what room it wants."""
    for _ in range(200):
        await asyncio.sleep(0.05)
        if store._writer._upkeep_in is None:
            return
    raise AssertionError("the buffer never came to rest")


async def test_every_durable_put_succeeds_on_a_disk_that_others_filled(disk: Path) -> None:
    async with await Store.open(disk / "buffer.db", limits=LIMITS) as store:
        await settled(store)
        fill(disk)
        assert store._space.free() < 4096
        for turn in range(60):
            priority = Priority.HIGH if turn % 10 == 0 else Priority.LOW
            await asyncio.gather(*(store.put(draft(priority, b"x" * 1000)) for _ in range(500)))
        depth = await store.depth()
        assert store.disk_full
        assert depth.evicted > 0
        assert depth.levels[Priority.HIGH].count == 3000
        assert depth.count + depth.evicted == 30_000
        assert await store._read(lambda c: c.execute("PRAGMA quick_check").fetchone()) == ("ok",)
        assert (disk / "buffer.db.ballast").exists()


async def test_the_station_starts_and_works_with_no_byte_free(disk: Path) -> None:
    path = disk / "buffer.db"
    async with await Store.open(path, limits=LIMITS) as store:
        await settled(store)
        before = await store.put(draft(Priority.HIGH, b"before"))
    fill(disk)
    assert not path.with_name("buffer.db-wal").exists()
    for turn in range(3):
        async with await Store.open(path, limits=LIMITS) as store:
            fill(disk)
            await asyncio.gather(*(store.put(draft(Priority.NORMAL, b"x" * 1000)) for _ in range(300)))
            assert (await store.lease(1))[0].id == before.id
            assert store.waiting(Priority.NORMAL) == 300 * (turn + 1)


async def test_a_power_cut_on_a_full_disk_loses_nothing(disk: Path) -> None:
    path = disk / "buffer.db"
    store = await Store.open(path, limits=LIMITS)
    await settled(store)
    fill(disk)
    ids = [receipt.id for receipt in await asyncio.gather(*(store.put(draft()) for _ in range(100)))]
    store._writer._handle.connection = None  # the log stays, as after a power cut
    store._held.close()
    fill(disk)
    async with await Store.open(path, limits=LIMITS) as again:
        assert [message.id for message in await again.lease(200)] == ids
        await again.put(draft())


async def test_the_ballast_comes_back_when_there_is_room_again(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.writer._SIEGE_SECONDS", 0.1)
    path = disk / "buffer.db"
    ballast = path.with_name("buffer.db.ballast")
    await (await Store.open(path, limits=LIMITS)).close()
    async with await Store.open(path, limits=LIMITS) as store:
        await settled(store)
    fill(disk)
    async with await Store.open(path, limits=LIMITS) as store:
        assert not ballast.exists()
        (disk / "film").unlink()
        await store.put(draft())
        await settled(store)
        assert ballast.stat().st_size == LIMITS.ballast_bytes
        assert not store.disk_full


async def test_only_what_may_give_way_makes_room_and_the_rest_is_refused(disk: Path) -> None:
    async with await Store.open(disk / "buffer.db", limits=LIMITS) as store:
        await settled(store)
        fill(disk)
        stored = 0
        with pytest.raises(DiskFull, match="BUF-003"):
            while True:
                await asyncio.gather(*(store.put(draft(Priority.HIGH, b"x" * 4000)) for _ in range(100)))
                stored += 100
        assert stored * 4000 > 10 * MIB  # the room it owns is used
        leased = await store.lease(1000, max_bytes=MIB)
        assert await store.ack([message.id for message in leased]) == len(leased)
        assert (await store.put(draft(Priority.CRITICAL, b"x" * 4000))).duplicate is False


def test_the_room_taken_is_written_and_not_only_counted(path: Path) -> None:
    path.parent.mkdir()
    limits = Limits(own_bytes=20 * MIB)
    connection = connect_writer(path, limits.pages)
    space = Space(path, limits)
    while space.grow(connection):
        pass
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size >= limits.own_bytes
    assert path.stat().st_blocks * 512 >= limits.own_bytes
    assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    connection.close()
