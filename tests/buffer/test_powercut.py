"""Power cuts over the real store: every write and sync is recorded, then the power fails anywhere.

`BUFFER_CUTS` says how many cuts to make; the default is a sample.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from buffer.store import Store
from tests.buffer.powercut import Disk, cut_points, read_records
from tests.buffer.producer import payload_of
from tests.buffer.test_kill import Told

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
CUTS = int(os.environ.get("BUFFER_CUTS", "60"))
UNSAFE = """
import buffer.schema as schema
pragmas = schema._pragmas
schema._pragmas = lambda pages: tuple(
    (name, "OFF", 0) if name == "synchronous" else (name, value, wanted)
    for name, value, wanted in pragmas(pages)
)
"""


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that records."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed: the writes of the store cannot be recorded")
    library = tmp_path_factory.mktemp("recorder") / "recorder.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "recorder.c", "-ldl", "-lpthread"],
        check=True,
    )
    return library


@dataclass
class Result:
    """What the cuts did."""

    cuts: int = 0
    lost: list[int] = field(default_factory=list)
    corrupt: int = 0
    quarantined: int = 0


def record(folder: Path, library: Path, *, prelude: str = "", seconds: float) -> Path:
    """Let the producer work for a while; the recording of it."""
    out, data = folder / "record", folder / "data"
    data.mkdir()
    program = prelude + (
        "import asyncio, sys, pathlib\n"
        "from tests.buffer import producer\n"
        "async def main():\n"
        "    try:\n"
        f"        async with asyncio.timeout({seconds}):\n"
        "            await producer.main(pathlib.Path(sys.argv[1]), '1')\n"
        "    except TimeoutError:\n"
        "        pass\n"
        "asyncio.run(main())\n"
    )
    environment = os.environ | {
        "LD_PRELOAD": str(library),
        "RECORD_FOLDER": str(data),
        "RECORD_OUT": str(out),
    }
    command = [sys.executable, "-c", program, str(data / "buffer.db")]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=60)
    return out


async def cut_often(folder: Path, recording: Path, cuts: int) -> Result:
    chance = random.Random(20260301)
    records = read_records(recording)
    assert {entry.kind for entry in records} >= {"w", "s", "a", "f", "c", "n"}
    disk, told, result, at = Disk(), Told(), Result(), 0
    for point in cut_points(records, cuts, chance):
        for entry in records[at:point]:
            if entry.kind == "a":
                for line in entry.data.decode().splitlines():
                    if line != "open":
                        told.note(line)
            else:
                disk.follow(entry)
        at = point
        after = folder / f"cut-{result.cuts}"
        after.mkdir()
        disk.cut(after, chance, loose=bool(result.cuts % 2))
        await look(after, told, result)
        shutil.rmtree(after)
    return result


async def look(folder: Path, told: Told, result: Result) -> None:
    result.cuts += 1
    left = set()
    async with await Store.open(folder / "buffer.db") as store:
        await store.rescued()
        while batch := await store.lease(500, max_bytes=50_000_000):
            for message in batch:
                left.add(message.id)
                assert message.idempotency_key is not None
                result.corrupt += message.payload != payload_of(message.idempotency_key)
        depth = await store.depth()
    result.corrupt += depth.dead
    result.quarantined += depth.quarantined
    lost = told.put.keys() - told.asked - left
    if lost:
        result.lost.append(len(lost))


async def test_a_power_cut_anywhere_loses_nothing_that_was_acknowledged(
    tmp_path: Path, recorder: Path
) -> None:
    recording = record(tmp_path, recorder, seconds=0.8)
    result = await cut_often(tmp_path, recording, CUTS)
    assert result == Result(cuts=CUTS)


async def test_the_simulator_finds_the_losses_of_a_store_that_does_not_sync(
    tmp_path: Path, recorder: Path
) -> None:
    """The control: with synchronous=OFF the same cuts must lose messages."""
    recording = record(tmp_path, recorder, prelude=UNSAFE, seconds=0.6)
    result = await cut_often(tmp_path, recording, 12)
    assert len(result.lost) > 6
