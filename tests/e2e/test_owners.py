"""A station changes hands while it is away: what it recorded before is seen by nobody who comes after."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from scripts.people import Owner
from scripts.processes import BIN, Cloud, Station, eventually
from scripts.steps import add_station, arrived, card, claim, device_named, event, go_online

PASSWORD = "another good password"
Leave = Callable[[Owner, Owner, str], None]


def newcomer(cloud: Cloud) -> Owner:
    """Another person with an account of their own."""
    words = ["create-user", "eve@example.org", "--name", "Eve", "--password-stdin"]
    command = [
        str(BIN / "meteor-cloud"),
        *words,
        "--config",
        str(cloud.config),
        "--data-dir",
        str(cloud.data),
    ]
    done = subprocess.run(command, input=PASSWORD, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return Owner(cloud.url(), ("eve@example.org", PASSWORD))


def release(owner: Owner, _eve: Owner, device: str) -> None:
    page = owner.get(f"/stations/{device}/give-up")
    owner.send(page, f"/stations/{device}/release", sure="yes")


def hand_over(owner: Owner, eve: Owner, device: str) -> None:
    page = owner.send(owner.get(f"/stations/{device}/give-up"), f"/stations/{device}/transfer")
    link = page.html.split("/transfer/mtt_")[1].split('"')[0].split("<")[0][:43]
    path = f"/transfer/mtt_{link}"
    eve.send(eve.get(path), path, name="Of Eve")


@pytest.mark.parametrize("leave", [release, hand_over])
def test_events_of_the_former_owner_wait_for_nobody_and_the_next_one_begins_anew(
    cloud: Cloud, station: Station, owner: Owner, leave: Leave
) -> None:
    go_online(station)
    before = card(station)["pin"]
    device = claim(station, owner)
    station.drop("seen", event(1))
    arrived(owner, device, {1})

    world = station.scenario.read_text()
    station.scenario.write_text('link = "lost"\n' + world)
    station.wait_for("reconnecting")
    for number in (2, 3):
        station.drop(f"dark{number}", event(number))
    eventually(lambda: station.cli("buffer", "ls").stdout.count("test:") >= 2, "two events wait")

    eve = newcomer(cloud)
    leave(owner, eve, device)
    station.scenario.write_text(world)
    if leave is release:
        eventually(lambda: not station.status()["claimed"], "the station notices", 60)
        shown = card(station)
        assert shown["pin"] != before, "its former owner knew the old one"
        assert owner.stations() == [] or owner.stations()[0]["status"] == "released"
        station.drop("nobodys", event(4, priority="critical"))
        add_station(eve, shown["short_id"], shown["pin"], "Of Eve")
    else:
        eventually(lambda: eve.stations(), "the station comes to its new owner", 60)
    station.wait_for("operational", seconds=60)
    hers = device_named(eve, "Of Eve")
    assert hers != device
    station.drop("new", event(5, priority="critical"))
    arrived(eve, hers, {4, 5} if leave is release else {5})
    assert eve.status(f"/v1/devices/{device}/events") == 404

    def set_aside() -> bool:
        listed = station.cli("buffer", "ls").stdout
        return "former owner" in listed and "test:2" in listed and "test:3" in listed

    eventually(set_aside, "what waited is kept, with the reason", 60)
    assert {row["client_event_id"] for row in eve.events(hers)} <= {"test:4", "test:5"}
    assert [row["client_event_id"] for row in owner.events(device)] == ["test:1"], "history stays"
