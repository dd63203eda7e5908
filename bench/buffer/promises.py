"""Promises that are counted, not timed: what comes back from a damaged file, and how long an alarm waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from bench.buffer.floors import PAYLOAD
from bench.buffer.rows import come_to_rest, fill
from buffer.message import Draft, Priority
from buffer.schema import PAGE_BYTES
from buffer.store import Store

SALVAGED_MESSAGES = 5000
_LEAF = 13
"""The first byte of a page that holds rows of a table (SQLite file format §1.6)."""


def destroy_first_page(path: Path) -> None:
    """Without it SQLite opens nothing."""
    _overwrite(path, 0)


def zero_a_leaf(path: Path) -> None:
    """One page of messages, in the middle."""
    content = path.read_bytes()
    leaves = [
        number
        for number in range(1, len(content) // PAGE_BYTES)
        if content[number * PAGE_BYTES] == _LEAF and PAYLOAD in content[number * PAGE_BYTES :][:PAGE_BYTES]
    ]
    _overwrite(path, leaves[len(leaves) // 2])


def _overwrite(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek(page * PAGE_BYTES)
        file.write(bytes(PAGE_BYTES))


DAMAGES: dict[str, Callable[[Path], None]] = {
    "first page destroyed": destroy_first_page,
    "one leaf destroyed": zero_a_leaf,
}


async def salvaged(folder: Path, damage: str) -> dict[str, float]:
    """The share of messages that come back, and milliseconds until puts are taken and until all are back."""
    path = folder / f"{damage.replace(' ', '-')}.db"
    async with await Store.open(path) as store:
        await fill(store, SALVAGED_MESSAGES)
        await come_to_rest(store)
    DAMAGES[damage](path)
    began = time.perf_counter()
    async with await Store.open(path) as store:
        await store.put(Draft("bench", PAYLOAD, Priority.NORMAL))
        ready = time.perf_counter()
        back = await everything(store)
        await store.rescued()
        back |= await everything(store)
    return {
        "share": (len(back) - 1) / SALVAGED_MESSAGES,
        "ready_ms": (ready - began) * 1000,
        "back_ms": (time.perf_counter() - began) * 1000,
    }


async def everything(store: Store) -> set[int]:
    """The ids of all that is handed out."""
    found: set[int] = set()
    while batch := await store.lease(500):
        found |= {message.id for message in batch}
    return found


async def alarm_waits(folder: Path, backlog: int = 2000, alarms: int = 50) -> int:
    """Batches that go before an alarm which comes while one is on its way: the most of so many alarms."""
    most = 0
    async with await Store.open(folder / "alarms.db") as store:
        await fill(store, backlog)
        await asyncio.sleep(0)
        while await store.lease(100, priorities=(Priority.CRITICAL,)):
            pass
        for _ in range(alarms):
            await store.lease(10)  # on its way
            alarm = await store.put(Draft("alarm", PAYLOAD, Priority.CRITICAL))
            waited = 0
            while alarm.id not in {message.id for message in await store.lease(10)}:
                waited += 1
            most = max(most, waited)
    return most
