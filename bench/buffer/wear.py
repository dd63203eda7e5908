"""What a message costs its device: bytes and flushes, counted by the kernel. Needs root; nothing is timed.

A file becomes a loop device with an ext4 of its own, so that the counters of that device count this and
nothing else. Life means put, lease and acknowledgement. The floor overwrites bytes that are there.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.buffer.floors import PAYLOAD
from bench.buffer.rows import come_to_rest, draft, take, warm_up
from buffer.errors import StoreError
from buffer.message import Draft, Priority
from buffer.store import Store

SECTOR = 512
_MIB = 1024 * 1024
_IMAGE_BYTES = 512 * _MIB


@dataclass(frozen=True)
class Device:
    """A file system of its own and the counters of its device."""

    mount: Path
    name: str

    def counters(self) -> tuple[int, int]:
        """Bytes written and flushes so far; everything that was cached is written first."""
        os.sync()
        fields = Path(f"/sys/block/{self.name}/stat").read_text(encoding="ascii").split()
        return int(fields[6]) * SECTOR, int(fields[15]) if len(fields) > 15 else 0


@contextmanager
def device(folder: Path, size: int = _IMAGE_BYTES) -> Iterator[Device]:
    """A mounted loop device. Raises CalledProcessError or OSError where that is not allowed."""
    image, mount = folder / "image", folder / "mount"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(size)
    lazy = "lazy_itable_init=0,lazy_journal_init=0"
    _run("mkfs.ext4", "-q", "-m", "0", "-E", lazy, str(image))
    loop = _run("losetup", "--find", "--show", "--direct-io=on", str(image)).strip()
    try:
        _run("mount", "-o", "noatime", loop, str(mount))
        try:
            yield Device(mount, Path(loop).name)
        finally:
            _run("umount", str(mount))
    finally:
        _run("losetup", "--detach", loop)
        image.unlink()
        mount.rmdir()


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def live(store: Store, messages: int, group: int, *, keyed: bool = False) -> None:
    """Put `group` at a time; every hundred are leased and acknowledged, as while the link is up."""
    for _ in range(0, messages, 100):
        await put(store, 100, group, keyed=keyed)
        await take(store, 100)


async def put(store: Store, messages: int, group: int, *, keyed: bool = False) -> None:
    """Put `group` at a time, each group as one commit."""
    for first in range(0, messages, group):
        turns = range(first, min(first + group, messages))
        await asyncio.gather(*(store.put(draft(turn, keyed=keyed)) for turn in turns))


async def producers(store: Store, messages: int) -> None:
    """64 producers, each of which waits for its own message."""

    async def producer() -> None:
        for turn in range(messages // 64):
            await store.put(draft(turn))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(64):
            tasks.create_task(producer())


async def pile_up(store: Store, messages: int) -> None:
    """Put everything, then drain it: a night without a link."""
    await put(store, messages, 100)
    await take(store, messages)


def overwrite(file: Path, writes: int) -> None:
    """The floor: bytes over bytes that are there, fdatasync after each."""
    handle = os.open(file, os.O_WRONLY)
    for number in range(writes):
        os.pwrite(handle, PAYLOAD, number * 4096)
        os.fdatasync(handle)
    os.close(handle)


Step = Callable[[], Awaitable[None]]


def steps(store: Store, messages: int) -> dict[str, tuple[int, Step]]:
    """What is counted, by name: how many messages, and how they go through the store."""
    few = max(messages // 10, 100)
    return {
        "put, 1 at a time": (few, partial(put, store, few, 1)),
        "put, 64 producers": (messages // 64 * 64, partial(producers, store, messages)),
        "life, 1 per commit": (few, partial(live, store, few, 1)),
        "life, 1 per commit, with key": (few, partial(live, store, few, 1, keyed=True)),
        "life, 10 per commit": (messages, partial(live, store, messages, 10)),
        "life, 100 per commit": (messages, partial(live, store, messages, 100)),
        "life, 100 per commit, with key": (messages, partial(live, store, messages, 100, keyed=True)),
        "a night offline, 100 per commit": (messages, partial(pile_up, store, messages)),
    }


async def wear(folder: Path, messages: int, settle_s: float) -> dict[str, dict[str, float]]:
    """Bytes and flushes per message, row by row."""
    rows: dict[str, dict[str, float]] = {}
    with device(folder) as disk:
        file = disk.mount / "floor"
        writes = max(messages // 10, 100)
        file.write_bytes(os.urandom(4096 * writes))
        before = disk.counters()
        overwrite(file, writes)
        rows["floor: overwrite in place"] = _per(before, disk.counters(), writes)
        async with await Store.open(disk.mount / "buffer.db") as store:
            await asyncio.sleep(settle_s)  # the room it takes for itself is taken once, not per message
            await warm_up(store)
            for name, (count, step) in steps(store, messages).items():
                before = disk.counters()
                await step()
                await come_to_rest(store)
                rows[name] = _per(before, disk.counters(), count)
                await take(store, messages)
                await come_to_rest(store)
    return rows


def _per(before: tuple[int, int], after: tuple[int, int], count: int) -> dict[str, float]:
    size = (after[0] - before[0]) / count
    return {"bytes": size, "times_payload": size / len(PAYLOAD), "flushes": (after[1] - before[1]) / count}


async def full_disk(folder: Path, messages: int, settle_s: float) -> float:
    """The share of durable puts that succeed while others hold every byte of the disk."""
    done = 0
    with device(folder, 128 * _MIB) as disk:
        async with await Store.open(disk.mount / "buffer.db") as store:
            await asyncio.sleep(settle_s)
            _use_up(disk.mount / "film")
            for turn in range(messages):
                priority = Priority.HIGH if turn % 10 == 0 else Priority.LOW
                with suppress(StoreError):  # counted by what is missing
                    await store.put(Draft("bench", PAYLOAD, priority))
                    done += 1
    return done / messages


def _use_up(path: Path) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT)
    for step in (_MIB, 4096):
        with suppress(OSError):
            while True:
                os.posix_fallocate(handle, os.fstat(handle).st_size, step)
    os.fsync(handle)
    os.close(handle)
