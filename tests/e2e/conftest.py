"""Fixtures of the journeys: a short temporary folder, a running cloud, and a station from an empty disk."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.people import Owner
from scripts.processes import Cloud, Program, Station, eventually


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/e2e" in str(item.path):
            item.add_marker(pytest.mark.e2e)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(300))


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder whose path is short enough for Unix sockets."""
    folder = Path(tempfile.mkdtemp(prefix="met-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    """Everything in it is stopped at the end, and must not have left a traceback in its log."""
    running: list[Program] = []
    yield running
    for program in reversed(running):
        if program.process is not None and program.process.poll() is None:
            program.stop()
    for program in running:
        print(f"--- {program.log.name}, its end:\n{program.text()[-6000:]}")
    for program in running:
        assert "Traceback" not in program.text(), program.text()[-4000:]


@pytest.fixture
def cloud(place: Path, programs: list[Program]) -> Cloud:
    """A cloud that runs."""
    cloud = Cloud(place)
    programs.append(cloud)
    cloud.start()
    return cloud


@pytest.fixture
def owner(cloud: Cloud) -> Owner:
    """The demo account, signed in."""
    return Owner(cloud.url(), cloud.account())


StationFactory = Callable[..., Station]


@pytest.fixture
def new_station(place: Path, cloud: Cloud, programs: list[Program]) -> StationFactory:
    """Makes stations from an empty disk and starts them."""

    def make(name: str = "station", **settings: str) -> Station:
        station = Station(place, cloud, name, **settings)
        programs.append(station)
        station.start()
        looking = ("uninitialized", "initializing")
        eventually(lambda: station.state() not in looking, "the station has looked at its hardware")
        return station

    return make


@pytest.fixture
def station(new_station: StationFactory) -> Station:
    """One station that runs, from an empty disk."""
    return new_station()
