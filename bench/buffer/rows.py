"""The rows of the buffer: what is asked of a store at a given depth. How they are measured lives in `slices`.

The log is copied back between slices, as a station does when it has nothing else to do; under load the buffer
does it inside the slice as well, whenever 4 MB are in the log.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from bench.buffer.floors import PAYLOAD
from bench.buffer.slices import Row, Sample
from buffer.capacity import Limits
from buffer.message import Draft, Priority
from buffer.store import Store

MIX = (Priority.CRITICAL,) * 2 + (Priority.HIGH,) * 8 + (Priority.NORMAL,) * 50 + (Priority.LOW,) * 40
PRODUCERS = (1, 8, 64, 256)
GROUP = 100
MIXED_PRODUCERS = 8
_SERIAL = itertools.count()
WARM_UP = 12_000


def limits(depth: int) -> Limits:
    """Room for this depth and what a slice adds."""
    return Limits(max_bytes=4 * 1024**3, max_count=2 * depth + 1_000_000)


def draft(turn: int, *, keyed: bool = False) -> Draft:
    """1 KB in one of the four priorities."""
    key = f"bench-{next(_SERIAL)}" if keyed else None
    return Draft("bench", PAYLOAD, MIX[turn % len(MIX)], idempotency_key=key)


@asynccontextmanager
async def stores(folder: Path, depths: Sequence[int]) -> AsyncIterator[dict[int, Store]]:
    """An open store at each depth, warmed up."""
    async with AsyncExitStack() as stack:
        opened = {}
        for depth in depths:
            store = await Store.open(folder / f"depth-{depth}.db", limits=limits(depth))
            opened[depth] = await stack.enter_async_context(store)
            await warm_up(store)
            await bring_to(store, depth)
        yield opened


async def warm_up(store: Store) -> None:
    """Go through the 8 MB of the log once, as every station has after its first minutes.

    The log is laid out beforehand. ext4 notes for each piece of it, at the first write only, that it now
    holds data; these notes cost a second flush per commit until all of the log was in use.
    """
    await fill(store, WARM_UP)
    await take(store, WARM_UP)
    await come_to_rest(store)


async def fill(store: Store, count: int) -> None:
    """Put so many, in large groups."""
    for first in range(0, count, 2000):
        turns = range(first, min(first + 2000, count))
        await asyncio.gather(*(store.put(draft(turn)) for turn in turns))


async def take(store: Store, count: int) -> int:
    """Lease and acknowledge so many, or all there are; how many that were."""
    done = 0
    while done < count and (batch := await store.lease(min(500, count - done))):
        done += await store.ack([message.id for message in batch])
    return done


async def bring_to(store: Store, depth: int) -> None:
    """As many messages as that, and the log copied back."""
    held = sum(store.waiting(priority) for priority in Priority)
    if held < depth:
        await fill(store, depth - held)
    else:
        await take(store, held - depth)
    await come_to_rest(store)


async def come_to_rest(store: Store) -> None:
    """Let the writer copy the log back, so that it has nothing to do during the next floor."""
    await store._read(lambda connection: connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone())


async def put_slice(store: Store, producers: int, seconds: float, *, keyed: bool = False) -> Sample:
    """Durable puts by so many concurrent producers."""
    times: list[float] = []
    began = time.perf_counter()

    async def producer() -> None:
        turn = 0
        while not turn or time.perf_counter() - began < seconds:
            asked = time.perf_counter()
            await store.put(draft(turn, keyed=keyed))
            times.append(time.perf_counter() - asked)
            turn += 1

    async with asyncio.TaskGroup() as tasks:
        for _ in range(producers):
            tasks.create_task(producer())
    return Sample(len(times), time.perf_counter() - began, tuple(times))


async def group_slice(store: Store, seconds: float) -> Sample:
    """One producer that hands over a hundred at once and waits for all of them."""

    async def step() -> int:
        await asyncio.gather(*(store.put(draft(turn)) for turn in range(GROUP)))
        return GROUP

    return await repeat(step, seconds)


async def take_slice(store: Store, batch: int, seconds: float) -> Sample:
    """Lease so many and acknowledge them durably."""

    async def step() -> int:
        return await store.ack([message.id for message in await store.lease(batch)])

    return await repeat(step, seconds)


async def mixed_slice(store: Store, seconds: float, *, count_puts: bool) -> Sample:
    """Eight producers while a drain takes a hundred at a time; counted is one of the two sides."""
    puts, taken = await asyncio.gather(
        put_slice(store, MIXED_PRODUCERS, seconds), take_slice(store, GROUP, seconds)
    )
    return puts if count_puts else taken


async def repeat(step: Callable[[], Awaitable[int]], seconds: float) -> Sample:
    """This step for so long, or until it finds no more messages; it says how many it did."""
    times: list[float] = []
    count = 0
    began = now = time.perf_counter()
    while not times or now - began < seconds:
        if not (done := await step()):
            break
        count += done
        then, now = now, time.perf_counter()
        times.append(now - then)
    return Sample(count, now - began, tuple(times))


def rows_at(store: Store, depth: int) -> list[Row]:
    """Everything that is asked of a store that is so deep."""

    async def restore() -> None:
        await bring_to(store, depth)

    def row(name: str, floor: str, step: Callable[[float], Awaitable[Sample]]) -> Row:
        return Row(f"{name}, at {depth}", floor, step, restore)

    return [
        *(row(f"put, {n} producers", "append", partial(put_slice, store, n)) for n in PRODUCERS),
        row("put with key, 64 producers", "append", partial(put_slice, store, 64, keyed=True)),
        row("put, groups of 100", "append 100", partial(group_slice, store)),
        row("lease 1, ack", "append", partial(take_slice, store, 1)),
        row("lease 100, ack", "append", partial(take_slice, store, GROUP)),
        row("mixed: put by 8", "append", partial(mixed_slice, store, count_puts=True)),
        row("mixed: lease 100, ack", "append", partial(mixed_slice, store, count_puts=False)),
    ]
