"""How fast the buffer is, as ratios to append+fdatasync on the same disk in the same run.

Run with `python -m bench.buffer_throughput [--messages N] [--depths N ...] [--folder DIR]`. Absolute rates
depend on the disk and on what else runs; the ratios are what can be compared, and only when the floor before
and after agree. persist-queue and litequeue are measured too where they are installed.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from buffer.capacity import Limits
from buffer.message import Draft, Priority
from buffer.store import Store

PAYLOAD = os.urandom(512).hex().encode()
MIX = (Priority.CRITICAL,) * 2 + (Priority.HIGH,) * 8 + (Priority.NORMAL,) * 50 + (Priority.LOW,) * 40


def floor(folder: Path, writes: int, size: int) -> dict[str, float]:
    """Appends with fdatasync after each: how many a second, and the 50th and 99th percentile in ms."""
    path = folder / "floor"
    times = []
    with path.open("wb", buffering=0) as file:
        for _ in range(writes):
            began = time.perf_counter()
            file.write(b"x" * size)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    path.unlink()
    return spread(times, sum(times))


def spread(times: list[float], elapsed: float) -> dict[str, float]:
    """Rate and percentiles of these durations in seconds."""
    ordered = sorted(times)
    return {
        "rate": len(times) / elapsed,
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[len(ordered) * 99 // 100] * 1000,
    }


async def produce(store: Store, producers: int, messages: int, *, keyed: bool) -> dict[str, float]:
    """Durable puts by this many concurrent producers."""
    times: list[float] = []

    async def producer(number: int) -> None:
        for turn in range(messages // producers):
            key = f"{producers}-{number}-{turn}-{time.monotonic_ns()}" if keyed else None
            draft = Draft("bench", PAYLOAD, MIX[turn % 100], idempotency_key=key)
            began = time.perf_counter()
            await store.put(draft)
            times.append(time.perf_counter() - began)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(producers):
            tasks.create_task(producer(number))
    return spread(times, time.perf_counter() - began)


async def drain(store: Store) -> dict[str, float]:
    """Lease and acknowledge everything, a hundred at a time."""
    times: list[float] = []
    done = 0
    began = time.perf_counter()
    while True:
        start = time.perf_counter()
        batch = await store.lease(100)
        if not batch:
            break
        done += await store.ack([message.id for message in batch])
        times.append(time.perf_counter() - start)
    elapsed = time.perf_counter() - began
    return spread(times, elapsed) | {"rate": done / elapsed}


async def fill(store: Store, depth: int) -> None:
    """Bring the store to this depth, in large groups."""
    while (missing := depth - sum(store.waiting(priority) for priority in Priority)) > 0:
        drafts = [Draft("bench", PAYLOAD, MIX[turn % 100]) for turn in range(min(missing, 2000))]
        await asyncio.gather(*map(store.put, drafts))


async def warm_up(store: Store) -> None:
    """Go through the log once, as every station has after its first minutes: the first time costs more,
    because the file system notes for each piece that it now holds data."""
    await fill(store, 4000)
    await drain(store)
    await asyncio.sleep(1)


async def dequeue(store: Store, count: int, times: int) -> dict[str, float]:
    """Lease so many and acknowledge them durably, so many times."""
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        await store.ack([message.id for message in await store.lease(count)])
        spent.append(time.perf_counter() - began)
    return spread(spent, sum(spent)) | {"rate": count * times / sum(spent)}


async def starting(path: Path, limits: Limits) -> tuple[Store, dict[str, float]]:
    """Open the store; how long that took."""
    began = time.perf_counter()
    store = await Store.open(path, limits=limits)
    took = (time.perf_counter() - began) * 1000
    return store, {"rate": 1000 / took, "p50_ms": took, "p99_ms": took}


async def at_depth(folder: Path, depths: Sequence[int]) -> dict[str, dict[str, float]]:
    """What depth costs: starting, taking one, taking a hundred."""
    rows = {}
    limits = Limits(max_bytes=4 * 1024**3, max_count=4 * max(depths))
    path = folder / "deep.db"
    for depth in depths:
        async with await Store.open(path, limits=limits) as store:
            await fill(store, depth)
        store, rows[f"start at {depth}, clean stop"] = await starting(path, limits)
        async with store:
            rows[f"lease 1, ack, at {depth}"] = await dequeue(store, 1, 200)
            rows[f"lease 100, ack, at {depth}"] = await dequeue(store, 100, 20)
    return rows


def peers(folder: Path, messages: int) -> dict[str, dict[str, float]]:
    """Other queues on SQLite, those that are installed: one durable put at a time, then get and ack."""
    rows = {}
    for name, make in (
        ("persist-queue AckQueue", persist_queue),
        ("litequeue, synchronous=FULL", lite_queue),
    ):
        try:
            put, take = make(folder)
        except ImportError:
            continue
        for verb, step in (("put", put), ("get, ack", take)):
            times = []
            for _ in range(messages):
                began = time.perf_counter()
                step()
                times.append(time.perf_counter() - began)
            rows[f"{name}: {verb}"] = spread(times, sum(times))
    return rows


def persist_queue(folder: Path) -> tuple[Callable[[], None], Callable[[], None]]:
    """Raises ImportError when it is not installed."""
    module = importlib.import_module("persistqueue")
    queue = module.SQLiteAckQueue(str(folder / "persistqueue"), auto_commit=True)
    return lambda: queue.put(PAYLOAD), lambda: queue.ack(queue.get())


def lite_queue(folder: Path) -> tuple[Callable[[], None], Callable[[], None]]:
    """Raises ImportError when it is not installed."""
    module = importlib.import_module("litequeue")
    queue = module.LiteQueue(str(folder / "litequeue.db"))
    queue.conn.execute("PRAGMA synchronous = FULL")
    return lambda: queue.put(PAYLOAD.decode()), lambda: queue.done(queue.pop().message_id)


async def measure(folder: Path, messages: int, depths: Sequence[int]) -> dict[str, dict[str, float]]:
    """Every row of the table."""
    rows = {"floor before": floor(folder, 2000, len(PAYLOAD))}
    groups = floor(folder, 300, 100 * len(PAYLOAD))
    rows["floor, 100 messages per fdatasync"] = groups | {"rate": groups["rate"] * 100}
    async with await Store.open(folder / "buffer.db") as store:
        await warm_up(store)
        steps: dict[str, Callable[[], Awaitable[dict[str, float]]]] = {
            "put, 1 producer": lambda: produce(store, 1, messages // 10, keyed=False),
            "put, 1 producer, with key": lambda: produce(store, 1, messages // 10, keyed=True),
            "put, 8 producers": lambda: produce(store, 8, messages // 2, keyed=False),
            "put, 64 producers": lambda: produce(store, 64, messages, keyed=False),
            "put, 64 producers, with key": lambda: produce(store, 64, messages, keyed=True),
            "put, 256 producers": lambda: produce(store, 256, messages, keyed=False),
            "lease 100, ack": lambda: drain(store),
        }
        for name, step in steps.items():
            rows[name] = await step()
    rows |= await at_depth(folder, depths)
    rows |= peers(folder, messages // 20)
    rows["floor after"] = floor(folder, 2000, len(PAYLOAD))
    base = (rows["floor before"]["rate"] + rows["floor after"]["rate"]) / 2
    for row in rows.values():
        row["ratio"] = row["rate"] / base
    return rows


def gates(rows: dict[str, dict[str, float]], depths: Sequence[int]) -> list[tuple[str, float, float, bool]]:
    """What is aimed at: name, measured, aim, and whether it is met."""
    sync_p99 = (rows["floor before"]["p99_ms"] + rows["floor after"]["p99_ms"]) / 2
    grouped = rows["floor, 100 messages per fdatasync"]["rate"]
    shallow, deep = (rows[f"lease 1, ack, at {depth}"]["p50_ms"] for depth in (depths[0], depths[-1]))
    at_least = [
        ("one durable put, of the floor", rows["put, 1 producer"]["ratio"], 0.7),
        ("64 producers, of the floor", rows["put, 64 producers"]["ratio"], 8.0),
        ("64 producers, of the floor in groups", rows["put, 64 producers"]["rate"] / grouped, 0.2),
    ]
    at_most = [
        (
            "one durable put, 99th percentile, of the floor's",
            rows["put, 1 producer"]["p99_ms"] / sync_p99,
            2.0,
        ),
        (f"taking one at {depths[-1]}, of that at {depths[0]}", deep / shallow, 1.3),
    ]
    return [(name, got, aim, got >= aim) for name, got, aim in at_least] + [
        (name, got, aim, got <= aim) for name, got, aim in at_most
    ]


def main() -> None:
    """Measure and print, as a table or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, help="where to write; the disk to be measured")
    parser.add_argument("--depths", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        rows = asyncio.run(measure(Path(folder), arguments.messages, arguments.depths))
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'':36}{'per second':>12}{'of floor':>10}{'p50 ms':>9}{'p99 ms':>9}")
    for name, row in rows.items():
        print(f"{name:36}{row['rate']:12.0f}{row['ratio']:10.2f}{row['p50_ms']:9.2f}{row['p99_ms']:9.2f}")
    for name, got, aim, met in gates(rows, arguments.depths):
        print(f"{name:52}{got:8.2f}  aim {aim:4.1f}  {'met' if met else 'MISSED'}")
    before, after = rows["floor before"]["rate"], rows["floor after"]["rate"]
    if abs(before - after) > 0.2 * min(before, after):
        print("The floor moved by more than a fifth: something else used the disk, measure again.")
    print(f"peak resident memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
