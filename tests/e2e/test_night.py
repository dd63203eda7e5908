"""A night without the cloud: hundreds of events and their files wait, then arrive once, in little memory.

`NIGHT_MEGABYTES` says how much the files have together: a sample, or 2 GB in `make test-night`.
"""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from scripts.people import Browser, Owner
from scripts.processes import Cloud, Station, eventually
from scripts.steps import claim, event, go_online

MEGABYTES = int(os.environ.get("NIGHT_MEGABYTES", "100"))
EVENTS = 500
FILES = 40 if MEGABYTES < 1000 else 100
"""Each is an upload of its own; above 50 the station's pace lets one go every four seconds."""
MEMORY_MB = 40
"""What the station may need above its idle memory while all of it passes through."""
PROBES = 2
"""The first messages after an outage close the breaker; when one fails, the next is another one."""
PRIORITIES = ("critical", "high", "high", "normal", "low")
PATIENCE_S = 600.0 + MEGABYTES

pytestmark = [pytest.mark.night, pytest.mark.timeout(900 + 3 * MEGABYTES)]


@dataclass(frozen=True)
class Shot:
    """One event; all follows from its number."""

    number: int

    @property
    def priority(self) -> str:
        """Mixed."""
        return PRIORITIES[self.number % len(PRIORITIES)]

    @property
    def file(self) -> bytes | None:
        """Some have a recording."""
        if self.number * FILES % EVENTS >= FILES:
            return None
        return random.Random(self.number).randbytes(MEGABYTES * 1_000_000 // FILES)

    @property
    def timestamp(self) -> str:
        """When it was seen."""
        return f"2026-01-01T{self.number // 60:02d}:{self.number % 60:02d}:07.{self.number:03d}Z"

    def description(self) -> dict[str, Any]:
        """As the camera program writes it."""
        files = [] if self.file is None else [f"film-{self.number}.mp4"]
        return event(
            self.number, timestamp=self.timestamp, priority=self.priority, media_files=files,
            metadata={"text": f"{self.number} " * 100},
        )  # fmt: skip


@dataclass
class Memory:
    """Resident memory of a process in MB, looked at ten times a second."""

    pid: int
    seen: list[float] = field(default_factory=list)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While this lasts."""
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(over,))
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _watch(self, over: threading.Event) -> None:
        process = psutil.Process(self.pid)
        while not over.wait(0.1):
            self.seen.append(process.memory_info().rss / 1e6)


def pid_of(program: Cloud | Station) -> int:
    assert program.process is not None
    return program.process.pid


def waiting(station: Station) -> int:
    return sum(row["count"] for row in station.status()["backlog"]["waiting"])


def hand_in(station: Station) -> dict[str, Shot]:
    """Everything, at the pace at which the station takes it; the files by their hash."""
    files, spool = {}, station.data / "spool"
    for number in range(EVENTS):
        shot = Shot(number)
        data = shot.file
        if data is None:
            station.drop(f"e{number}", shot.description())
            continue
        files[hashlib.sha256(data).hexdigest()] = shot
        (spool / f"film-{number}.mp4").write_bytes(data)
        station.drop(f"e{number}", shot.description())
        eventually(lambda: len(list(spool.glob("film-*"))) < 5, "the spool is taken", 300)
    return files


def send(station: Station) -> None:
    """A person presses "Send now"."""
    phone = Browser(station.url())
    desk = phone.send(phone.get("/technician"), "/technician", pin=station.pin())
    assert phone.send(desk, "/technician/retry").status == 200


def test_a_night_without_the_cloud_arrives_once_and_whole_in_little_memory(
    cloud: Cloud, station: Station, owner: Owner, capsys: pytest.CaptureFixture[str]
) -> None:
    go_online(station)
    device = claim(station, owner)
    eventually(lambda: waiting(station) == 0, "nothing waits")
    memory = Memory(pid_of(station))
    with memory.watched():
        time.sleep(3)
    idle = max(memory.seen)
    cloud.stop()
    began = time.monotonic()
    with memory.watched():
        files = hand_in(station)
        eventually(lambda: waiting(station) >= EVENTS, "everything waits", 300)
    taken_s = time.monotonic() - began

    used = psutil.Process(memory.pid).cpu_times()
    began = time.monotonic()
    cloud.start()
    with memory.watched():
        drained(station)
    drain_s = time.monotonic() - began
    report(capsys, station, cloud, idle, max(memory.seen), taken_s, drain_s, used)

    everything_is_there_once(cloud, device)
    every_byte_is_there(cloud, device, files)
    assert max(memory.seen) - idle < MEMORY_MB, "memory grows with what passes through"


def drained(station: Station) -> None:
    """Waits, and is as impatient as a person: presses the button when nothing moves."""
    before = -1

    def look() -> bool:
        nonlocal before
        left = waiting(station)
        if left == before:
            send(station)
        before = left
        return left == 0

    eventually(look, "everything is sent", PATIENCE_S, every=3.0)


def stored(cloud: Cloud, query: str, device: str) -> list[tuple[Any, ...]]:
    """Rows of the cloud's own database."""
    with closing(sqlite3.connect(f"file:{cloud.data / 'cloud.db'}?mode=ro", uri=True)) as database:
        return database.execute(query, (device,)).fetchall()


def everything_is_there_once(cloud: Cloud, device: str) -> None:
    query = "SELECT body, timestamp FROM event WHERE device_id = ? AND event_type = 'meteor' ORDER BY pk"
    rows = stored(cloud, query, device)
    events = [msgspec.json.decode(body) for body, _ in rows]
    names = [each["client_event_id"] for each in events]
    assert len(names) == len(set(names)) == EVENTS
    shots = [Shot(int(name.removeprefix("test:"))) for name in names]
    for shot, each, (_, timestamp) in zip(shots, events, rows, strict=True):
        assert each["timestamp"] == timestamp == shot.timestamp, "a time was changed on the way"
        assert each["metadata"] == shot.description()["metadata"]
    urgent = sum(shot.priority == "critical" for shot in shots)
    assert all(shot.priority == "critical" for shot in shots[:urgent]), "the critical ones came first"
    for priority in set(PRIORITIES):
        order = [shot.number for shot in shots[PROBES:] if shot.priority == priority]
        assert order == sorted(order), f"first in, first out inside {priority}"


def every_byte_is_there(cloud: Cloud, device: str, files: dict[str, Shot]) -> None:
    entered = {row[0] for row in stored(cloud, "SELECT sha256 FROM media WHERE device_id = ?", device)}
    assert entered == files.keys()
    for sha256 in entered:
        path = cloud.data / "media" / device / sha256[:2] / sha256
        assert sha256_of(path) == sha256


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def report(
    capsys: pytest.CaptureFixture[str],
    station: Station,
    cloud: Cloud,
    idle: float,
    peak: float,
    taken_s: float,
    drain_s: float,
    before: Any,
) -> None:
    after = psutil.Process(pid_of(station)).cpu_times()
    there = psutil.Process(pid_of(cloud)).cpu_times()
    own = after.user + after.system - before.user - before.system
    with capsys.disabled():
        print(f"\nnight: {EVENTS} events, {FILES} files, {MEGABYTES} MB; taken in {taken_s:.0f} s")
        print(f"sent in {drain_s:.0f} s, {MEGABYTES / drain_s:.1f} MB/s")
        print(f"memory of the station {idle:.0f} MB idle, {peak:.0f} MB at most")
        print(f"processor while sending: station {own:.0f} s, cloud {there.user + there.system:.0f} s")
