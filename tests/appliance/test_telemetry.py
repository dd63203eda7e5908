"""Telemetry of the host against /proc, and the counters against a clock that the test moves."""

from __future__ import annotations

import asyncio
import os
from collections import namedtuple
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from appliance.telemetry.application import Application
from appliance.telemetry.collector import Collector
from appliance.telemetry.host import HostTelemetry, cpu_shares
from protocol.messages import DiskUsage, ErrorCounts, HeartbeatRequest

Reading = namedtuple("Reading", "label current")


async def test_memory_disk_load_and_uptime_agree_with_the_kernel(tmp_path: Path) -> None:
    facts = await HostTelemetry(tmp_path).facts()
    meminfo = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    total = int(meminfo["MemTotal"].split()[0]) * 1024
    available = int(meminfo["MemAvailable"].split()[0]) * 1024
    assert facts.memory.total == total
    assert facts.memory.free == pytest.approx(available, abs=0.1 * total)
    status = os.statvfs(tmp_path)
    assert facts.disk.total == pytest.approx(status.f_blocks * status.f_frsize, rel=0.001)
    assert facts.disk.free == pytest.approx(status.f_bavail * status.f_frsize, rel=0.1)
    assert facts.cpu.load_average == pytest.approx(os.getloadavg(), abs=1.0)
    assert facts.uptime == pytest.approx(float(Path("/proc/uptime").read_text().split()[0]), abs=5)


async def test_the_processor_shares_are_those_since_the_last_look(tmp_path: Path) -> None:
    telemetry = HostTelemetry(tmp_path)
    sum(number * number for number in range(3_000_000))
    facts = await telemetry.facts()
    assert facts.cpu.user is not None
    assert facts.cpu.system is not None
    assert facts.cpu.idle is not None
    assert facts.cpu.user > 0
    assert facts.cpu.user + facts.cpu.system + facts.cpu.idle <= 100.2
    assert facts.cpu_percent == pytest.approx(100 - facts.cpu.idle, abs=0.11)


@pytest.mark.parametrize(
    ("before", "now", "shares"),
    [
        ((0, 0, 0, 0), (25, 15, 60, 100), (25.0, 15.0, 60.0)),
        ((10, 10, 10, 30), (10, 10, 10, 30), None),
        ((10, 10, 10, 30), (9, 9, 9, 27), None),
        ((0, 0, 100, 100), (1, 0, 99.5, 101), (100.0, 0.0, 0.0)),
    ],
)
def test_shares_are_per_cent_of_the_time_that_passed(
    before: tuple[float, float, float, float],
    now: tuple[float, float, float, float],
    shares: tuple[float, float, float] | None,
) -> None:
    assert cpu_shares(before, now) == shares


async def test_looks_from_any_thread_measure_the_same_processor(tmp_path: Path) -> None:
    telemetry = HostTelemetry(tmp_path)
    for _ in range(4):
        sum(number * number for number in range(1_000_000))
        first, second = await asyncio.gather(telemetry.facts(), telemetry.facts())
        for facts in (first, second):
            shares = (facts.cpu.user, facts.cpu.system, facts.cpu.idle)
            assert shares == (None, None, None) or sum(share or 0 for share in shares) > 50


async def test_a_disk_that_cannot_be_asked_is_unknown_and_not_zero(tmp_path: Path) -> None:
    assert (await HostTelemetry(tmp_path / "absent").facts()).disk == DiskUsage()


@pytest.mark.parametrize(
    ("sensors", "expected"),
    [
        ({}, None),
        ({"cpu_thermal": [Reading("", 51.24)]}, 51.2),
        ({"nvme": [Reading("", 38.0)], "cpu_thermal": [Reading("", 51.24)]}, 51.2),
    ],
)
async def test_the_temperature_is_the_processors_or_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sensors: dict[str, list[Reading]], expected: float | None
) -> None:
    monkeypatch.setattr("psutil.sensors_temperatures", lambda: sensors)
    assert (await HostTelemetry(tmp_path).facts()).cpu.temperature == expected


async def test_the_facts_fit_into_a_heartbeat(tmp_path: Path) -> None:
    facts = await HostTelemetry(tmp_path).facts()
    request = HeartbeatRequest(
        uptime=facts.uptime,
        boot_id="b",
        seq=1,
        state="operational",
        memory_usage=facts.memory,
        cpu_usage=facts.cpu,
        disk_usage=facts.disk,
    )
    assert msgspec.json.decode(msgspec.json.encode(request), type=HeartbeatRequest) == request


def test_the_counters_of_the_day_start_anew_at_midnight_utc() -> None:
    now = datetime(2026, 8, 12, 23, 59, tzinfo=UTC)
    application = Application(lambda: now)
    application.detected()
    application.detected(2)
    application.uploaded(1)
    assert (application.counts().detected_today, application.counts().uploaded_today) == (3, 1)
    now += timedelta(minutes=1)
    assert (application.counts().detected_today, application.counts().uploaded_today) == (0, 0)
    application.uploaded(4)
    assert (application.counts().detected_today, application.counts().uploaded_today) == (0, 4)


def test_errors_are_counted_by_kind_and_outlive_the_day() -> None:
    now = datetime(2026, 8, 12, tzinfo=UTC)
    application = Application(lambda: now)
    for times, kind in enumerate(("camera", "network", "storage", "detection"), start=1):
        for _ in range(times):
            application.failed(kind)
    now += timedelta(days=1)
    assert application.counts().errors == ErrorCounts(
        camera_errors=1, network_errors=2, storage_errors=3, detection_errors=4
    )


# --- gathering that hangs -----------------------------------------------------------------------------------


async def test_a_gathering_that_hangs_gives_the_facts_of_before_and_is_counted_once() -> None:
    free, calls = asyncio.Event(), 0

    async def gather() -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            await free.wait()
        return calls

    collector = Collector("sensors", gather, 0, patience=0.01)
    assert [await collector.facts() for _ in range(4)] == [1, 1, 1, 1]
    assert (collector.overruns, calls) == (1, 2)
    free.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [await collector.facts(), await collector.facts()] == [2, 3]
    await collector.close()


async def test_the_first_gathering_that_hangs_gives_the_default() -> None:
    collector = Collector("sensors", asyncio.Event().wait, False, patience=0.01)
    assert await collector.facts() is False
    assert collector.overruns == 1
    await collector.close()


async def test_two_who_ask_at_once_share_one_gathering() -> None:
    calls = 0

    async def gather() -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.01)
        return calls

    collector = Collector("sensors", gather, 0)
    assert await asyncio.gather(*(collector.facts() for _ in range(5))) == [1] * 5
    assert await collector.facts() == 2


async def test_what_a_gathering_raises_is_raised_and_the_next_one_begins_anew() -> None:
    answers: list[Exception | int] = [OSError("gone"), 7]

    async def gather() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    collector = Collector("sensors", gather, 0)
    with pytest.raises(OSError, match="gone"):
        await collector.facts()
    assert await collector.facts() == 7
