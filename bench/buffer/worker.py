"""The process that is weighed, killed or slowed down from outside; `starts` and `card` start it.

`python -m bench.buffer.worker TASK FOLDER NUMBER...` prints one line of JSON. What a task needs is imported
when it runs, because the bare one must not hold the buffer.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path

PAYLOAD_BYTES = 1024
AT_ONCE = 64
SLOW_SYNC = "SLOW_SYNC_MS"


def resident() -> dict[str, float]:
    """The most memory this process ever held, in MB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return {"resident_mb": int(status.split("VmHWM:")[1].split()[0]) / 1024}


async def workload(messages: int, put: Callable[[bytes], Awaitable[object]]) -> None:
    """So many messages from 64 producers."""

    async def producer() -> None:
        for _ in range(messages // AT_ONCE):
            await put(os.urandom(PAYLOAD_BYTES // 2).hex().encode())

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(producer())


async def bare(_folder: Path, messages: int) -> dict[str, float]:
    """The workload alone: asyncio, and the messages."""

    async def put(_payload: bytes) -> None:
        await asyncio.sleep(0)

    await workload(messages, put)
    return resident()


async def stored(folder: Path, messages: int) -> dict[str, float]:
    """The workload into a store, then all of it leased and acknowledged."""
    from buffer.message import Draft, Priority
    from buffer.store import Store

    async with await Store.open(folder / "weighed.db") as store:
        await workload(messages, lambda payload: store.put(Draft("bench", payload, Priority.NORMAL)))
        while batch := await store.lease(100):
            await store.ack([message.id for message in batch])
        return resident()


async def filled(folder: Path, depth: int) -> dict[str, float]:
    """Fill a store, say so, and wait to be killed."""
    from bench.buffer.rows import bring_to, fill, limits
    from buffer.store import Store

    async with await Store.open(folder / "killed.db", limits=limits(depth)) as store:
        await bring_to(store, depth)
        await fill(store, 500)  # so that there is something in the log
        print(json.dumps({"depth": depth}), flush=True)
        await asyncio.sleep(3600)
    return {}


async def slow(folder: Path, milliseconds: int, seconds: int) -> dict[str, float]:
    """Puts a second by 1, 8, 64 and 256 producers, and plain writes, on a disk whose syncs take that long."""
    from bench.buffer.floors import append
    from bench.buffer.rows import PRODUCERS, put_slice, warm_up
    from buffer.store import Store

    async with await Store.open(folder / "slow.db") as store:
        await warm_up(store)
        os.environ[SLOW_SYNC] = str(milliseconds)
        rates = {"append": append(folder, seconds, 1).rate}
        for producers in PRODUCERS:
            rates[str(producers)] = (await put_slice(store, producers, seconds)).rate
        os.environ[SLOW_SYNC] = "0"
    return rates


TASKS: dict[str, Callable[..., Coroutine[None, None, dict[str, float]]]] = {
    "bare": bare,
    "stored": stored,
    "filled": filled,
    "slow": slow,
}


if __name__ == "__main__":
    task, place, *numbers = sys.argv[1:]
    print(json.dumps(asyncio.run(TASKS[task](Path(place), *map(int, numbers)))), flush=True)
