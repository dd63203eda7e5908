"""Power cuts over the intake: spool, media files, messages; bytes and names that were not synced may be lost.

`CRASH_POWER_CUTS` says how many cuts to make; the default is a sample.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from appliance.identity.file_keys import FileKeys
from appliance.identity.keys import load_or_create
from appliance.identity.nonces import Nonces
from appliance.paths import Paths
from buffer.message import Message
from tests.buffer.powercut import Disk, Record, cut_points, read_records
from tests.crash.spooler import SETTLE_S, Shot, Station, name_of, station

ROOT = Path(__file__).resolve().parents[2]
CUTS = int(os.environ.get("CRASH_POWER_CUTS", "40"))
SEED = int(os.environ.get("CRASH_SEED", "20260301"))

pytestmark = pytest.mark.timeout(300 + 2 * CUTS)


@pytest.fixture(scope="session")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that records."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed: the writes of the intake cannot be recorded")
    library = tmp_path_factory.mktemp("recorder") / "recorder.so"
    source = ROOT / "tests/buffer/recorder.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl", "-lpthread"], check=True)
    return library


@dataclass
class Told:
    """What the intake had said before the cut."""

    took: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)

    def note(self, record: Record) -> None:
        for line in record.data.decode().splitlines():
            word, _, name = line.partition(" ")
            if word != "open":
                (self.took if word == "took" else self.asked).add(name)


def record(folder: Path, library: Path, *, prelude: str = "", seconds: float = 1.0) -> list[Record]:
    """Lets the intake work for a while; what it did."""
    program = prelude + (
        "import asyncio, pathlib, sys\n"
        "from tests.crash import spooler\n"
        f"asyncio.run(spooler.main(pathlib.Path(sys.argv[1]), {seconds}))\n"
    )
    return run_recorded(folder, library, program)


def run_recorded(folder: Path, library: Path, program: str) -> list[Record]:
    """Runs a program on an empty data folder; what it did there."""
    data = folder / "data"
    data.mkdir()
    environment = os.environ | {
        "LD_PRELOAD": str(library),
        "RECORD_FOLDER": str(data),
        "RECORD_OUT": str(folder / "record"),
    }
    command = [sys.executable, "-c", program, str(data)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=120)
    return read_records(folder / "record")


async def cut_often(folder: Path, records: list[Record], cuts: int) -> tuple[Counter[str], list[str]]:
    """Cuts and looks so often; the findings by kind, and each in words."""
    chance = random.Random(SEED)
    disk, told, findings, details, at = Disk(), Told(), Counter[str](), list[str](), 0
    for number, point in enumerate(cut_points(records, cuts, chance)):
        for entry in records[at:point]:
            if entry.kind == "a":
                told.note(entry)
            else:
                disk.follow(entry)
        at = point
        after = folder / f"cut-{number}"
        loose = bool(number % 2)
        disk.cut(after, chance, loose=loose)
        for kind, words in await look(after, told):
            if loose and kind == "unasked":
                continue  # how the spool puts things away counts on a journal that keeps the order of names
            findings[kind] += 1
            details.append(f"cut {number} at {point}: {kind} {words}")
        shutil.rmtree(after)
    return findings, details


async def look(data: Path, told: Told) -> list[tuple[str, str]]:
    """Starts the station on what is left, lets it take what lies in the spool, and compares."""
    now = [0.0]
    async with station(data, now) as here:
        await here.spool.prepare()
        for _ in range(4):
            await here.spool.tick()
            now[0] += SETTLE_S
        found, messages = [("lost", f"the file {sha256}") for sha256 in here.missing], list[Message]()
        while batch := await here.store.lease(500, max_bytes=50_000_000):
            messages += batch
        for message in messages:
            found += await _examine(here, message, told)
        depth = await here.store.depth()
        left = Counter(map(name_of, messages))
        found += [("lost", name) for name in told.took - told.asked - left.keys()]
        found += [("doubled", name) for name, count in left.items() if count > 1]
        return found + ([("dead", str(depth.dead))] if depth.dead else [])


async def _examine(here: Station, message: Message, told: Told) -> list[tuple[str, str]]:
    """Whether this event was handed in like that.

    A program that was cut off before it was through may leave pictures without their description, and those
    are taken as pictures that came alone. After the yes that must not happen.
    """
    name = name_of(message)
    shot = Shot(int(name.removeprefix("e").removeprefix("p").partition("-")[0]))
    if shot.alone is not name.startswith("p"):
        return [("unasked", name)] if f"e{shot.number}" in told.took else []
    event = msgspec.json.decode(message.payload)
    if not shot.alone and event["metadata"]["text"] != f"{shot.number}," * 200:
        return [("corrupt", name)]
    expected = [hashlib.sha256(data).hexdigest() for data in shot.files.values()]
    if shot.careful and [ref.sha256 for ref in message.media] != expected:
        return [("corrupt", f"{name} has other files")]
    there = [ref.sha256 for ref in message.media if ref.sha256 not in here.missing]
    return [("corrupt", name) for sha256 in there if not await here.media.verify(sha256)]


CONTROLS = {
    "from buffer import mediafiles\nmediafiles.sync_folder = lambda folder: None\n": "lost",
    "from appliance.sources import take\ntake.make_durable = lambda root, names: None\n": "unasked",
}


async def test_a_power_cut_anywhere_loses_no_accepted_event_and_none_of_its_files(
    tmp_path: Path, recorder: Path
) -> None:
    records = record(tmp_path, recorder)
    assert {entry.kind for entry in records} >= set("wsacdmnu")
    findings, details = await cut_often(tmp_path, records, CUTS)
    assert findings == Counter(), "\n".join(details)


@pytest.mark.parametrize("prelude", CONTROLS, ids=CONTROLS.values())
async def test_the_simulator_finds_what_an_intake_without_flushes_does_wrong(
    tmp_path: Path, recorder: Path, prelude: str
) -> None:
    records = record(tmp_path, recorder, prelude=prelude)
    findings, _ = await cut_often(tmp_path, records, 40)
    assert findings[CONTROLS[prelude]] > 0


FIRST_START = """
import pathlib, sys
from appliance.identity.file_keys import FileKeys
from appliance.identity.keys import load_or_create
from appliance.identity.nonces import Nonces
from appliance.paths import Paths
from tests.crash.spooler import say
paths = Paths(pathlib.Path(sys.argv[1]))
keyid = load_or_create(paths.identity, FileKeys()).keyid
say(keyid, Nonces(paths.state).boot)
"""


def test_a_power_cut_after_the_first_start_leaves_the_station_who_it_is(
    tmp_path: Path, recorder: Path
) -> None:
    disk, said = Disk(), ""
    for entry in run_recorded(tmp_path, recorder, FIRST_START):
        if entry.kind == "a":
            said = entry.data.decode()
        else:
            disk.follow(entry)
    keyid, boot = said.split()
    chance = random.Random(SEED)
    for number in range(20):
        paths = Paths(tmp_path / f"cut-{number}")
        disk.cut(paths.data, chance, loose=bool(number % 2))
        assert load_or_create(paths.identity, FileKeys()).keyid == keyid
        assert Nonces(paths.state).boot > int(boot)
