"""Orders reach a station at once, over a connection that outlives its cloud; the heartbeat needs none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.people import Owner
from scripts.processes import Cloud, Program, Station, eventually
from scripts.steps import claim, go_online


@pytest.fixture
def cloud(place: Path, programs: list[Program]) -> Cloud:
    """A cloud that wants a heartbeat every hour only."""
    cloud = Cloud(place, heartbeat_interval="3600")
    programs.append(cloud)
    cloud.start()
    return cloud


def live(station: Station) -> str:
    return str(station.status()["realtime"])


def order(owner: Owner, device: str) -> str:
    page = owner.get(f"/stations/{device}")
    csrf = next(form.values["csrf"] for form in page.forms if "csrf" in form.values)
    answer = owner.json(f"/v1/devices/{device}/commands", {"type": "locate"}, **{"X-CSRF-Token": csrf})
    return str(answer["id"])


def test_an_order_arrives_between_two_heartbeats_and_after_the_cloud_was_killed(
    new_station: Callable[..., Station], cloud: Cloud, owner: Owner
) -> None:
    station = new_station()
    go_online(station)
    device = claim(station, owner)
    station.wait_for("operational")
    eventually(lambda: live(station) == "connected", "the live connection stands")
    assert "orders       at once (live connection: connected)" in station.cli("status").stdout
    first = order(owner, device)
    eventually(lambda: first in station.text(), "the order arrives, an hour before the next heartbeat")

    cloud.kill()
    eventually(lambda: live(station) != "connected", "the loss is noticed")
    cloud.start()
    eventually(lambda: live(station) == "connected", "it comes back by itself", seconds=90)
    second = order(owner, device)
    eventually(lambda: second in station.text(), "the next order arrives")
    assert station.text().count(f"command {first} ") == 1


def test_switched_off_the_heartbeat_goes_on_as_before(
    new_station: Callable[..., Station], owner: Owner
) -> None:
    station = new_station(**{"cloud.realtime": "off"})
    go_online(station)
    claim(station, owner)
    station.wait_for("operational")
    eventually(lambda: owner.stations()[0]["tone"] == "running", "the heartbeat arrives")
    assert live(station) == "off"
    assert "live connection" not in station.text()
