"""What the buffer costs besides time per message: memory over bare Python, and its start at each depth."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.buffer.rows import bring_to, limits
from buffer.store import Store

ROOT = Path(__file__).resolve().parents[2]
_TIMES = 3


def command(task: str, folder: Path, *numbers: int) -> list[str]:
    """How the worker is started."""
    return [sys.executable, "-m", "bench.buffer.worker", task, str(folder), *map(str, numbers)]


def work(
    task: str, folder: Path, *numbers: int, environment: dict[str, str] | None = None
) -> dict[str, float]:
    """What the worker found. Raises CalledProcessError."""
    done = subprocess.run(
        command(task, folder, *numbers), check=True, capture_output=True, env=environment, cwd=ROOT
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def memory(folder: Path, messages: int) -> dict[str, float]:
    """MB at the most, with a store and without one under the same work: medians of three."""
    weighed: dict[str, list[float]] = {"bare": [], "stored": []}
    for _ in range(_TIMES):
        for task, seen in weighed.items():
            with tempfile.TemporaryDirectory(dir=folder) as own:
                seen.append(work(task, Path(own), messages)["resident_mb"])
    bare, stored = (statistics.median(seen) for seen in weighed.values())
    return {"bare": bare, "stored": stored, "added": stored - bare}


async def starting(folder: Path, depths: Sequence[int]) -> dict[str, float]:
    """Milliseconds to open a store of each depth, after a clean end and after a kill; medians of three."""
    rows = {}
    for depth in depths:
        with tempfile.TemporaryDirectory(dir=folder) as own:
            path = Path(own) / "killed.db"
            async with await Store.open(path, limits=limits(depth)) as store:
                await bring_to(store, depth)
            clean = [await _open(path, depth) for _ in range(_TIMES)]
            rows[f"start, {depth} deep, clean end"] = statistics.median(clean)
            killed = []
            for _ in range(_TIMES):
                await asyncio.to_thread(_fill_and_kill, path.parent, depth)
                killed.append(await _open(path, depth))
            rows[f"start, {depth} deep, after kill -9"] = statistics.median(killed)
    return rows


async def _open(path: Path, depth: int) -> float:
    began = time.perf_counter()
    store = await Store.open(path, limits=limits(depth))
    took = time.perf_counter() - began
    await store.close()
    return took * 1000


def _fill_and_kill(folder: Path, depth: int) -> None:
    with subprocess.Popen(command("filled", folder, depth), stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise RuntimeError(f"the worker ended before it held {depth} messages")
        process.kill()
