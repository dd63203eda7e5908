"""Time as the station tells it: the system's when that is synchronized, else what the cloud taught."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from appliance.paths import Paths
from appliance.station import _keep_time
from appliance.uplink.time import CloudTime
from firmware.clock import ClockQuality, Source, read_kept_time
from firmware.fakes import FakeClock
from protocol.clock import from_unix

TRUE = 1_800_000_000.0
UNSURE = ClockQuality(False, Source.UNKNOWN, None)
FLOOR = ClockQuality(False, Source.FLOOR, None)
NTP = ClockQuality(True, Source.NTP, 0.02)


def wrong_clock(off: float = -86_400.0, quality: ClockQuality = UNSURE) -> FakeClock:
    clock = FakeClock(TRUE + off)
    clock.set_wall(TRUE + off, quality)
    return clock


def test_before_the_first_answer_the_systems_time_counts() -> None:
    time = CloudTime(wrong_clock())
    assert time.now() == TRUE - 86_400
    assert time.skew() is None
    assert time.skew_error() == 0.0
    assert time.source() == "unknown"


async def test_an_answer_of_the_cloud_corrects_a_clock_that_nobody_vouches_for() -> None:
    clock = wrong_clock()
    time = CloudTime(clock)
    time.teach(from_unix(TRUE), sent=0.0, received=0.0)
    assert time.now() == pytest.approx(TRUE)
    assert time.skew() == pytest.approx(-86_400)
    await clock.advance(100)
    assert time.now() == pytest.approx(TRUE + 100)


async def test_the_answer_belongs_to_the_middle_of_its_round_trip() -> None:
    clock = wrong_clock()
    time = CloudTime(clock)
    await clock.advance(4)
    time.teach(from_unix(TRUE), sent=0.0, received=4.0)
    assert time.now() == pytest.approx(TRUE + 2)
    assert time.report().est_error_ms == pytest.approx(2000)


def test_a_jump_of_the_wall_clock_does_not_move_what_was_learned() -> None:
    clock = wrong_clock()
    time = CloudTime(clock)
    time.teach(from_unix(TRUE), 0.0, 0.0)
    clock.set_wall(TRUE + 1e8, UNSURE)
    assert time.now() == pytest.approx(TRUE)


def test_a_synchronized_clock_is_believed_before_the_cloud() -> None:
    clock = wrong_clock(quality=NTP)
    time = CloudTime(clock)
    time.teach(from_unix(TRUE + 500), 0.0, 0.0)
    assert time.now() == clock.wall()
    assert time.source() == "ntp"


@pytest.mark.parametrize(
    ("quality", "taught", "source"),
    [(UNSURE, False, "unknown"), (FLOOR, False, "floor"), (FLOOR, True, "server"), (NTP, True, "ntp")],
)
def test_the_report_says_what_vouches_for_the_time(quality: ClockQuality, taught: bool, source: str) -> None:
    time = CloudTime(wrong_clock(quality=quality))
    if taught:
        time.teach(from_unix(TRUE), 0.0, 0.0)
    report = time.report()
    assert (report.source, report.synced) == (source, quality.synchronized)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_is_none_teaches_nothing(text: str) -> None:
    time = CloudTime(wrong_clock())
    time.teach(text, 0.0, 0.0)
    assert time.skew() is None


async def floor_after_a_stop(folder: Path, time: CloudTime) -> float | None:
    """Starts the service that keeps the time, and stops it long before its first ten minutes are over."""
    service = asyncio.create_task(_keep_time(Paths(folder), time))
    await asyncio.sleep(0)
    service.cancel()
    with pytest.raises(asyncio.CancelledError):
        await service
    return read_kept_time(Paths(folder).clock_floor)


async def test_the_time_is_kept_when_the_station_stops(tmp_path: Path) -> None:
    Paths(tmp_path).clock_floor.parent.mkdir(parents=True)
    assert await floor_after_a_stop(tmp_path, CloudTime(wrong_clock(off=0, quality=NTP))) == TRUE


async def test_a_signed_time_counts_on_until_the_stop(tmp_path: Path) -> None:
    """The system's own clock is a year ahead and is not kept."""
    Paths(tmp_path).clock_floor.parent.mkdir(parents=True)
    clock = wrong_clock(off=365 * 86_400)
    time = CloudTime(clock)
    time.teach_signed(TRUE, 0.0, 0.0)
    await clock.advance(7200)
    assert await floor_after_a_stop(tmp_path, time) == TRUE + 7200


async def test_a_time_for_which_nobody_vouches_is_not_kept(tmp_path: Path) -> None:
    time = CloudTime(wrong_clock(off=365 * 86_400))
    time.teach(from_unix(TRUE), 0.0, 0.0)
    assert await floor_after_a_stop(tmp_path, time) is None
