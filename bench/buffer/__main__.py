"""Measures the buffer and prints all tables. What is measured, and how, lives in the modules beside this one.

`--quick` goes to 100 000 messages deep and takes a few minutes, `--full` to a million. The disk that is
measured is that of `--folder`. Bytes and flushes need root, the card model needs gcc, and the peers come with
`pip install -e '.[bench]'`; what is missing is said.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.buffer import tables
from bench.buffer.card import card
from bench.buffer.floors import floors
from bench.buffer.floors import rows as floor_rows
from bench.buffer.gates import Run
from bench.buffer.peers import peer_rows
from bench.buffer.promises import DAMAGES, alarm_waits, salvaged
from bench.buffer.rows import rows_at, stores
from bench.buffer.slices import Plan, Result, Row, measure
from bench.buffer.starts import memory, starting
from bench.buffer.wear import full_disk, wear


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    depths: Sequence[int]
    plan: Plan
    wear_messages: int
    full_disk_puts: int
    weighed_messages: int = 20_000
    card_s: int = 3
    settle_s: float = 10.0


QUICK = Extent((10_000, 100_000), Plan(), 10_000, 5_000)
FULL = Extent((10_000, 100_000, 1_000_000), Plan(pairs=9, retries=27), 20_000, 20_000)


def say(text: str) -> None:
    """What is done now."""
    print(text, file=sys.stderr, flush=True)


async def throughput(folder: Path, extent: Extent, missing: list[str]) -> dict[str, Result]:
    """All rows of the buffer and of its peers, in one random order."""
    say(f"filling queues: {', '.join(map(str, extent.depths))} deep")
    with floors(folder) as named:
        rows: list[Row] = floor_rows(named)
        async with stores(folder, extent.depths) as opened:
            for depth, store in opened.items():
                rows += rows_at(store, depth)
            peers, absent = peer_rows(folder, extent.depths)
            missing += [f"{name} is not installed: pip install -e '.[bench]'" for name in absent]
            say(f"{len(rows + peers)} rows, {extent.plan.pairs} pairs each")
            found = await measure(rows + peers, named, extent.plan, random.Random())
    return {result.name: result for result in found}


async def measured(folder: Path, extent: Extent) -> Run:
    """Everything, part by part."""
    run = Run(extent.depths, {})
    run.rows = await throughput(folder, extent, run.missing)
    say("memory and starts")
    run.memory = memory(folder, extent.weighed_messages)
    run.starts = await starting(folder, extent.depths)
    say("card model")
    run.card = card(folder, extent.card_s)
    if not run.card:
        run.missing.append("The card model needs gcc.")
    say("salvage, alarms")
    run.salvage = {name: await salvaged(folder, name) for name in DAMAGES}
    run.alarm_waits = {"batches": await alarm_waits(folder)}
    say("wear, full disk")
    await _on_a_device(folder, extent, run)
    return run


async def _on_a_device(folder: Path, extent: Extent, run: Run) -> None:
    try:
        run.wear = await wear(folder, extent.wear_messages, extent.settle_s)
        run.full_disk = {"share": await full_disk(folder, extent.full_disk_puts, extent.settle_s)}
    except (OSError, subprocess.CalledProcessError) as error:
        run.missing.append(f"Bytes, flushes and the full disk need root and a loop device: {error}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument(
        "--quick", action="store_true", help="to 100 000 messages deep (what is done without a choice)"
    )
    extent.add_argument("--full", action="store_true", help="to 1 000 000 messages deep")
    parser.add_argument("--folder", type=Path, help="where to write; the disk to be measured")
    arguments, _ = parser.parse_known_args()
    logging.basicConfig(level=logging.ERROR)  # damage is done on purpose here, and announced by the store
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        before = os.getloadavg()
        run = asyncio.run(measured(Path(folder), FULL if arguments.full else QUICK))
    print(tables.everything(run))
    load = [f"{value:.1f}" for value in (before[0], os.getloadavg()[0])]
    print(f"\nLoad of the machine before: {load[0]}, after: {load[1]}.")


if __name__ == "__main__":
    main()
