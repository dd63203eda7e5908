"""The doctor on clock, camera programs, disk, buffer, computer and program; and how it runs its checks."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance import sentences
from appliance.doctor import board, camera, clock, disk, examine, preflight, sending, station
from appliance.doctor.examine import problems_first
from appliance.doctor.patient import BoardFacts, BufferFacts, ClockFacts
from appliance.doctor.stopped import patient_of, read_buffer
from appliance.doctor.visit import Visit
from appliance.doctor.words import size, span, well
from appliance.intakes import IntakeStats
from appliance.paths import Paths
from appliance.settings import DeviceSection, Settings
from buffer.breaker import BreakerSnapshot, BreakerState
from buffer.listing import Depth, Level
from buffer.message import Draft, Priority
from buffer.store import Store
from portal.view import Finding, Notice, Sentence
from tests.appliance.ward import BOARD, HOST, NOW, answering, ask, only, patient, seen

EMPTY = Depth({}, 0, 0, 0, None, 0, 0, 0)
SHUT = BreakerSnapshot(BreakerState.CLOSED, 0.0, False, 0, 0, None)
OPEN = BreakerSnapshot(BreakerState.OPEN, 42.0, False, 5, 1, "Nobody answers at the address of the cloud.")


def hot(degrees: float) -> Any:
    return replace(HOST, cpu=msgspec.structs.replace(HOST.cpu, temperature=degrees))


def short(free: int) -> Any:
    return replace(HOST, memory=msgspec.structs.replace(HOST.memory, free=free))


def waiting(dead: dict[str, int] | None = None, events: Any = SHUT, files: Any = SHUT) -> BufferFacts:
    depth = replace(EMPTY, levels={Priority.HIGH: Level(7, 900, 5400.0)}, dead=sum((dead or {}).values()))
    return BufferFacts(depth, dead or {}, events, files)


AHEAD = ClockFacts(NOW, False, "server", 3600.0, 0.2)
TROUBLE = Notice("BUF-005", Sentence("The card cannot be read."), Sentence("Check the card."))

CASES: list[tuple[str, Any, dict[str, Any], str, str, str]] = [
    ("clock", clock.check, {}, "ok", "", "It says 2026-08-12 22:00:00 UTC. Who vouches for it: NTP."),
    ("clock wrong", clock.check, {"clock": AHEAD}, "warn", "TIME-001", "Difference to the cloud: +3600.0 s."),
    ("slow answer", clock.check, {"clock": replace(AHEAD, skew=3.0, skew_error=2.0)}, "ok", "", "+3.0 s"),
    (
        "nobody vouches",
        clock.check,
        {"clock": ClockFacts(NOW, False, "floor"), "cloud_url": "http://c.invalid"},
        "warn",
        "DOC-006",
        "Who vouches for it: the time it last knew.",
    ),
    (
        "open breaker",
        sending.check,
        {"buffer": waiting(events=OPEN)},
        "warn",
        "UPL-003",
        "Sending pauses for 42 s: Nobody answers at the address of the cloud.",
    ),
    ("open for files", sending.check, {"buffer": waiting(files=OPEN)}, "warn", "UPL-003", "pauses for 42 s"),
    (
        "backlog",
        sending.check,
        {"buffer": waiting()},
        "ok",
        "",
        "Waiting messages: 7, the oldest for 90 min.",
    ),
    (
        "dead",
        sending.check,
        {"buffer": waiting({"422 not like this": 3, "413 large": 9})},
        "warn",
        "BUF-020",
        "9 times: The cloud answered with an error (413). 3 times: The cloud answered with an error (422).",
    ),
    ("warm", board.check, {}, "ok", "", "52 °C"),
    ("hot", board.check, {"host": hot(81.4)}, "warn", "DOC-010", "81 °C"),
    ("too hot", board.check, {"host": hot(86.0)}, "fail", "DOC-010", "86 °C"),
    (
        "undervoltage",
        board.check,
        {"board": replace(BOARD, undervoltage=True)},
        "fail",
        "DOC-011",
        "undervoltage",
    ),
    ("little memory", board.check, {"host": short(300_000_000)}, "warn", "DOC-012", "300 MB free of 4.0 GB"),
    ("no memory", board.check, {"host": short(90_000_000)}, "fail", "DOC-012", "90 MB free of 4.0 GB"),
    (
        "buffer trouble",
        disk.check,
        {"buffer_trouble": TROUBLE},
        "fail",
        "BUF-005",
        "Writing 64 kB to the disk took",
    ),
    ("buffer full", disk.check, {"disk_full": True}, "fail", "BUF-003", "% full"),
    ("stopped", station.check, {"running": False}, "fail", "DOC-001", "Nobody listens at"),
    (
        "silent",
        station.check,
        {"running": False, "silent": True},
        "fail",
        "DOC-001",
        "No answer within 60 s.",
    ),
    ("running", station.check, {}, "ok", "", "State operational, version"),
]


@pytest.mark.parametrize(
    ("family", "ill", "verdict", "code", "evidence"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
async def test_each_fault_of_the_station_has_its_evidence_and_one_action(
    tmp_path: Path, family: Any, ill: dict[str, Any], verdict: str, code: str, evidence: str
) -> None:
    found = await only(family, patient(tmp_path, **ill))
    assert (found.verdict, found.code) == (verdict, code)
    assert evidence in seen(found)
    assert bool(found.action) == (verdict != "ok")


async def test_a_board_without_sensors_and_a_buffer_nobody_can_read_say_nothing(tmp_path: Path) -> None:
    dumb = patient(tmp_path, board=BoardFacts(), host=None)
    assert await ask(board.check, dumb) == []
    assert await ask(sending.check, dumb) == []


async def test_a_stopped_station_learns_its_skew_from_the_answer_of_the_cloud(tmp_path: Path) -> None:
    async with answering() as port:  # this cloud lives on 1 January 2026
        unvouched = ClockFacts(NOW, False, "unknown")
        found = await only(clock.check, patient(tmp_path, cloud=f"http://127.0.0.1:{port}", clock=unvouched))
    assert (found.verdict, found.code) == ("warn", "TIME-001")


# --- camera programs ----------------------------------------------------------------------------------------


def keep_event(folder: Path, when: datetime) -> None:
    event = folder / "data/spool/accepted/event.json"
    event.parent.mkdir(parents=True, exist_ok=True)
    event.write_text("{}")
    os.utime(event, (when.timestamp(), when.timestamp()))


async def test_no_event_ever(tmp_path: Path) -> None:
    found = await only(camera.check, patient(tmp_path, intake=IntakeStats()))
    assert (found.verdict, found.code) == ("warn", "DOC-007")
    assert str(found.sentence) == "No camera program has handed in an event yet."
    assert seen(found).endswith("accepted. Events since the start: 0.")


async def test_no_event_for_long(tmp_path: Path) -> None:
    keep_event(tmp_path, NOW - timedelta(days=3))
    found = await only(camera.check, patient(tmp_path))
    assert (found.verdict, found.code) == ("warn", "DOC-007")
    assert str(found.sentence) == "No event has come for 72 h."
    assert seen(found) == "The newest event came at 2026-08-09 22:00:00 UTC."


async def test_an_event_of_this_night_counts_wherever_it_came_from(tmp_path: Path) -> None:
    stats = IntakeStats(4, NOW - timedelta(minutes=3), 0)
    assert (await only(camera.check, patient(tmp_path, intake=stats))).verdict == "ok"
    keep_event(tmp_path, NOW - timedelta(hours=3))
    assert (await only(camera.check, patient(tmp_path))).verdict == "ok"


async def test_a_spool_that_cannot_be_written_is_told_with_the_reason(tmp_path: Path) -> None:
    ill = patient(tmp_path)
    keep_event(tmp_path, NOW)
    with mounted(ill.settings.spool, "ro"):
        found = await only(camera.check, replace(ill, intake=IntakeStats(1, NOW)))
    assert (found.verdict, found.code) == ("fail", "DOC-008")
    assert seen(found) == f"{ill.settings.spool}: Read-only file system."
    assert str(ill.settings.spool) in str(found.action)


async def test_trying_the_folder_leaves_nothing_there(tmp_path: Path) -> None:
    ill = patient(tmp_path)
    await ask(camera.check, ill)
    await ask(disk.check, ill)
    assert sorted(path.name for path in ill.settings.data_dir.rglob("*")) == ["accepted", "spool"]


# --- the disk -----------------------------------------------------------------------------------------------


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A small file system in memory on `folder`."""
    command = ["mount", "-t", "tmpfs", "-o", f"size=1m,{options}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_is_told_with_its_share_and_refuses_to_be_written(tmp_path: Path) -> None:
    ill = patient(tmp_path)
    data = ill.settings.data_dir
    with mounted(data, "rw"):
        with (data / "ballast").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(b"\0" * 4096)
        room, writing = await ask(disk.check, ill)
    assert [(each.verdict, each.code) for each in (room, writing)] == [("fail", "BUF-003")] * 2
    assert seen(room) == f"{data} is 100 % full, 0 B free."
    assert seen(writing) == f"{data}: No space left on device."


async def test_a_nearly_full_disk_deserves_a_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "room_of", lambda _: disk.Room(31_000_000_000, 620_000_000))
    found = await only(disk.check, patient(tmp_path))
    assert (found.verdict, found.code, found.sentence.text) == ("warn", "BUF-003", sentences.DISK_LOW)
    assert "is 98 % full, 620 MB free." in seen(found)


async def test_a_disk_without_room_for_one_more_file_is_full(tmp_path: Path) -> None:
    ill = patient(tmp_path)
    data = ill.settings.data_dir
    with mounted(data, "nr_inodes=1"):
        room, writing = await ask(disk.check, ill)
    assert [each.code for each in (room, writing)] == ["BUF-003", "BUF-003"]
    assert "no room for one more file" in seen(room)


async def test_a_read_only_disk_is_told_with_the_reason(tmp_path: Path) -> None:
    ill = patient(tmp_path)
    with mounted(ill.settings.data_dir, "ro"):
        found = await only(disk.check, ill)
    assert (found.verdict, found.code) == ("fail", "BUF-005")
    assert seen(found) == f"{ill.settings.data_dir}: Read-only file system."


async def test_a_slow_disk_is_told_with_the_time_it_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = os.fsync
    blocked = threading.Event()

    def slow(file: int) -> None:
        blocked.wait(disk.SLOW_S + 0.3)
        flush(file)

    monkeypatch.setattr(os, "fsync", slow)
    found = await only(disk.check, patient(tmp_path))
    assert (found.verdict, found.code) == ("warn", "DOC-009")
    assert seen(found).startswith("Writing 64 kB to the disk took")


def test_what_a_failed_write_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    assert isinstance(disk.try_to_write(tmp_path), OSError)
    assert list(tmp_path.iterdir()) == []


# --- preflight ----------------------------------------------------------------------------------------------

HARDWARE = [
    ("cores", replace(BOARD, cores=2), 64, "Processor cores", "DOC-013", "2; recommended: 4."),
    ("memory", replace(BOARD, memory=1_900_000_000), 64, "Memory", "DOC-013", "1.9 GB; recommended: 4.0 GB."),
    ("a board of 4 GB", replace(BOARD, memory=3_700_000_000), 64, "", "", ""),
    ("storage", BOARD, 16, "Storage", "DOC-013", "16 GB; recommended: 32 GB."),
    ("a card of 32 GB", BOARD, 29, "", "", ""),
    ("no camera", replace(BOARD, cameras=()), 64, "Camera", "DOC-014", "Video devices: none."),
    ("everything", BOARD, 64, "", "", ""),
]


@pytest.mark.parametrize(
    ("facts", "gigabytes", "part", "code", "evidence"),
    [case[1:] for case in HARDWARE],
    ids=[c[0] for c in HARDWARE],
)
async def test_the_preflight_compares_and_never_blocks(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    facts: Any,
    gigabytes: int,
    part: str,
    code: str,
    evidence: str,
) -> None:
    monkeypatch.setattr(preflight, "room_of", lambda _: disk.Room(gigabytes * 10**9, 10**9))
    found = await only(preflight.check, patient(tmp_path, board=facts))
    assert found.verdict == ("warn" if code else "ok")
    assert found.code == code
    if part:
        assert (str(found.name), seen(found)) == (f"Hardware: {part}", evidence)


# --- how it is run ------------------------------------------------------------------------------------------


async def test_a_check_that_hangs_is_not_known_and_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs(_visit: Visit) -> Sequence[Finding]:
        await asyncio.sleep(3600)
        return []

    async def breaks(_visit: Visit) -> Sequence[Finding]:
        raise ZeroDivisionError

    families = (("Clock", hangs), ("Memory", breaks), (station.NAME, station.check))
    monkeypatch.setattr(examine, "FAMILIES", families)
    late, broken, fine = await examine.examine(patient(tmp_path), 0.2)
    assert (late.name.text, late.verdict) == ("Clock", "unknown")
    assert "did not end within 200 ms" in str(late.sentence)
    assert (broken.name.text, broken.verdict) == ("Memory", "unknown")
    assert "the log has the details" in str(broken.sentence)
    assert fine.verdict == "ok"


async def test_the_station_s_own_notices_are_told_unless_a_check_found_the_same(tmp_path: Path) -> None:
    notices = (TROUBLE, Notice("HB-001", Sentence("The cloud does not hear."), Sentence("Wait.")))
    ill = patient(tmp_path, notices=notices, buffer_trouble=TROUBLE)
    codes = [each.code for each in await examine.examine(ill)]
    assert codes.count("BUF-005") == 1
    assert codes.count("HB-001") == 1


async def test_every_fault_has_a_code_evidence_and_one_action(tmp_path: Path) -> None:
    ill = patient(tmp_path, board=BoardFacts(1, 10**9), running=False, buffer=waiting({"422": 1}, OPEN, OPEN))
    for each in await examine.examine(ill):
        if each.verdict in ("fail", "warn"):
            assert each.code and each.evidence and each.action
        assert each.name and each.sentence


def test_problems_come_first_and_otherwise_nothing_moves() -> None:
    order = [
        replace(well("x"), verdict=verdict, code=str(n))
        for n, verdict in enumerate(["ok", "warn", "fail", "ok", "unknown"])
    ]
    assert [each.code for each in problems_first(order)] == ["2", "1", "4", "0", "3"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.004, "4 ms"), (3.2, "3 s"), (89.0, "89 s"), (600, "10 min"), (90_000, "25 h")]
)
def test_lengths_of_time(seconds: float, text: str) -> None:
    assert str(span(seconds)) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (64_000, "64 kB"), (120_000_000, "120 MB"), (4 * 10**9, "4.0 GB")]
)
def test_sizes(count: int, text: str) -> None:
    assert str(size(count)) == text


# --- a stopped station --------------------------------------------------------------------------------------


async def test_a_station_that_never_ran_is_not_said_to_have_a_broken_disk(tmp_path: Path) -> None:
    gone = await patient_of(Settings(device=DeviceSection(data_dir=str(tmp_path / "nothing"))))
    found = [*await ask(disk.check, gone), *await ask(camera.check, gone)]
    assert [each.code for each in found if each.verdict == "fail"] == []


async def test_what_lies_on_the_disk_of_a_stopped_station_is_looked_at(tmp_path: Path) -> None:
    ill = patient(tmp_path)
    paths = Paths(ill.settings.data_dir)
    async with await Store.open(paths.buffer_file) as store:
        await store.put(Draft(kind="event", payload=b"{}", priority=Priority.HIGH))
    facts, trouble = await asyncio.to_thread(read_buffer, paths)
    assert trouble is None
    assert facts is not None
    assert facts.depth.count == 1
    paths.buffer_file.write_bytes(b"rubbish " * 2000)
    facts, trouble = await asyncio.to_thread(read_buffer, paths)
    assert facts is None
    assert trouble is not None
    assert trouble.code.startswith("BUF-")
    stopped = await patient_of(ill.settings)
    assert (stopped.running, stopped.buffer_trouble) == (False, trouble)


async def test_the_newest_event_of_a_spool_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert camera.newest_event(tmp_path / "nothing") is None
    assert camera.newest_event(tmp_path / "nothing", datetime(2026, 1, 1, tzinfo=UTC)) is not None
