"""How fast the buffer is, as ratios to append+fdatasync on the same disk in the same run.

Run with `python -m bench.buffer_throughput [--messages N] [--folder DIR]`. Absolute rates depend on the disk
and on what else runs; the ratios are what can be compared, and only when the floor before and after agree.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

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


async def measure(folder: Path, messages: int) -> dict[str, dict[str, float]]:
    """Every row of the table."""
    rows = {"floor before": floor(folder, 2000, len(PAYLOAD))}
    async with await Store.open(folder / "buffer.db") as store:
        steps: dict[str, Callable[[], Awaitable[dict[str, float]]]] = {
            "put, 1 producer": lambda: produce(store, 1, messages // 10, keyed=False),
            "put, 1 producer, with key": lambda: produce(store, 1, messages // 10, keyed=True),
            "put, 8 producers": lambda: produce(store, 8, messages // 2, keyed=False),
            "put, 64 producers": lambda: produce(store, 64, messages, keyed=False),
            "put, 64 producers, with key": lambda: produce(store, 64, messages, keyed=True),
            "lease 100, ack": lambda: drain(store),
        }
        for name, step in steps.items():
            rows[name] = await step()
    rows["floor after"] = floor(folder, 2000, len(PAYLOAD))
    base = (rows["floor before"]["rate"] + rows["floor after"]["rate"]) / 2
    for row in rows.values():
        row["ratio"] = row["rate"] / base
    return rows


def main() -> None:
    """Measure and print, as a table or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, help="where to write; the disk to be measured")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        rows = asyncio.run(measure(Path(folder), arguments.messages))
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'':30}{'per second':>12}{'of floor':>10}{'p50 ms':>9}{'p99 ms':>9}")
    for name, row in rows.items():
        print(f"{name:30}{row['rate']:12.0f}{row['ratio']:10.2f}{row['p50_ms']:9.2f}{row['p99_ms']:9.2f}")
    print(f"peak resident memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
