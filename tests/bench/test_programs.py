"""The benches of the whole programs in a tiny size, so that they cannot rot."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import event_upload, station_footprint
from bench.__main__ import benches
from bench.registration import __main__ as registration

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder whose path is short enough for Unix sockets."""
    folder = Path(tempfile.mkdtemp(prefix="met-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_events_go_through_every_door_and_stand_beside_a_plain_post(place: Path) -> None:
    times = asyncio.run(event_upload.measure(place, 1, 100_000))
    text = "\n".join(event_upload.table(times))
    assert [len(taken) for taken in times.values()] == [1, 1, 1, 1]
    assert all(taken[0] > 0 for taken in times.values())
    for name in ("socket", "spool, by the contract", "plain POST"):
        assert name in text


def test_the_footprint_stands_beside_bare_python_and_bare_aiohttp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(station_footprint, "SETTLE_S", 0.1)
    costs = station_footprint.costs(starts=1, idle=0.2)
    assert [cost.name for cost in costs] == ["python -c pass", "bare aiohttp server", "the station"]
    assert all(cost.rss > 0 and cost.start > 0 for cost in costs)
    assert "the station ÷ bare aiohttp server" in "\n".join(station_footprint.table(costs))


def test_registrations_go_both_ways_and_stand_beside_the_bare_cryptography(place: Path) -> None:
    run = asyncio.run(registration.measure(place, stations=6, at_once=3, beats=2, floor_seconds=0.01))
    assert [part.count for part in run.parts] == [3, 3, 3, 6, 12]
    assert all(rate > 0 for both in run.floors.values() for rate in both)
    text = "\n".join(registration.tables(run))
    for what in (*registration.AIMS_MS, "a claim in one message", "a certificate built and signed"):
        assert what in text


def test_every_bench_is_run_by_make_bench() -> None:
    assert benches() == ["buffer", "event_upload", "registration", "station_footprint"]
