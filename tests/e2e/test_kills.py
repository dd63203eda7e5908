"""`kill -9` of the station in every state and of the cloud in mid-work: nothing is lost or doubled."""

from __future__ import annotations

import random
import time
import urllib.error
from collections.abc import Callable

import pytest

from scripts.people import Browser, Owner
from scripts.processes import SCENARIO, Cloud, Station, eventually
from scripts.steps import (
    HOME,
    NAME,
    add_station,
    arrived,
    card,
    choose_network,
    claim,
    device_named,
    event,
    go_online,
)
from tests.e2e.conftest import StationFactory

SLOW = SCENARIO.replace('name = "Home"', 'name = "Home"\nlatency_ms = 1500')


def in_setup(station: Station, owner: Owner) -> None:
    station.wait_for("setup")


def in_configuring(station: Station, owner: Owner) -> None:
    Browser(station.url()).get("/setup")
    station.wait_for("configuring")


def in_connecting(station: Station, owner: Owner) -> None:
    station.scenario.write_text(SCENARIO.replace("join_seconds = 0.2", "join_seconds = 8"))
    time.sleep(1.5)  # the simulated world looks at its file once a second
    choose_network(station, "correct horse")
    station.wait_for("connecting")


def in_network_ready(station: Station, owner: Owner) -> None:
    go_online(station)
    eventually(lambda: "waits for a person" in station.text(), "the cloud has the claim")


def in_claiming(station: Station, owner: Owner) -> None:
    station.scenario.write_text(SLOW)
    time.sleep(1.5)
    choose_network(station, "correct horse")
    station.wait_for("network_ready")
    shown = card(station)
    add_station(owner, shown["short_id"], shown["pin"])
    catch(station, "claiming")


def in_activating(station: Station, owner: Owner) -> None:
    in_claiming(station, owner)
    catch(station, "activating")


def in_operational(station: Station, owner: Owner) -> None:
    go_online(station)
    claim(station, owner)


def in_reconnecting(station: Station, owner: Owner) -> None:
    in_operational(station, owner)
    station.scenario.write_text('link = "lost"\n' + SCENARIO)
    station.wait_for("reconnecting")


def in_rescue(station: Station, owner: Owner) -> None:
    in_reconnecting(station, owner)
    station.wait_for("setup", seconds=60)


def catch(station: Station, state: str) -> None:
    """Sees a state that lasts only for a moment."""
    eventually(lambda: station.state() == state, f"the station passes {state}", 30, every=0.02)


UNCLAIMED = {in_setup, in_configuring, in_connecting, in_network_ready}
STATES = [
    in_setup,
    in_configuring,
    in_connecting,
    in_network_ready,
    in_claiming,
    in_activating,
    in_operational,
    in_reconnecting,
    in_rescue,
]


@pytest.mark.parametrize("reach", STATES, ids=lambda reach: reach.__name__)
def test_a_station_that_is_killed_resumes(
    station: Station, owner: Owner, reach: Callable[[Station, Owner], None]
) -> None:
    before = card(station)
    reach(station, owner)
    station.drop("kept", event(1))
    eventually(lambda: not list((station.data / "spool").glob("*.json")), "the event is accepted")
    station.kill()
    station.scenario.write_text(SCENARIO)
    station.start()

    assert station.status()["short_id"] == before["short_id"], "the identity survives"
    if reach in UNCLAIMED:
        assert card(station)["pin"] == before["pin"], "no second PIN for a live claim"
        finish_by_hand(station, owner)
    station.wait_for("operational", seconds=60)
    station.drop("after", event(2))
    arrived(owner, device_named(owner, NAME), {1, 2})
    assert len(owner.stations()) == 1, "one station, not two"


def finish_by_hand(station: Station, owner: Owner) -> None:
    """Whatever the person still has to do."""
    shown = card(station)
    add_station(owner, shown["short_id"], shown["pin"])
    time.sleep(0.5)
    if station.state() in ("setup", "configuring"):
        choose_network(station, "correct horse")


def test_kills_at_random_moments_of_the_start_do_no_harm(station: Station, owner: Owner) -> None:
    dice = random.Random(20)
    go_online(station)
    device = claim(station, owner)
    for number in range(8):
        station.drop(f"e{number}", event(number))
        time.sleep(dice.uniform(0, 1.2))
        station.kill()
        station.start()
    station.wait_for("operational", seconds=60)
    arrived(owner, device, set(range(8)))


def test_a_cloud_that_is_killed_in_the_middle_of_a_claim_finishes_it(
    cloud: Cloud, new_station: StationFactory, owner: Owner
) -> None:
    dice = random.Random(3)
    for number in range(4):
        station = new_station(f"s{number}")
        shown = card(station)
        add_station(owner, shown["short_id"], shown["pin"], f"Station {number}")
        choose_network(station, "correct horse")
        time.sleep(dice.uniform(0.2, 1.6))
        cloud.kill()
        cloud.start()
        station.wait_for("operational", seconds=90)
        assert device_named(owner, f"Station {number}")
        station.stop()
    assert len(owner.stations()) == 4


def test_a_cloud_that_is_killed_in_the_middle_of_an_upload_gets_every_byte(
    cloud: Cloud, station: Station, owner: Owner
) -> None:
    go_online(station)
    device = claim(station, owner)
    picture = random.Random(5).randbytes(24_000_000)
    station.drop("big", event(1, media_files=["big.bin"]), big_dot_bin=picture)
    partial = eventually(lambda: partial_upload(cloud), "the upload has begun", every=0.01)
    cloud.kill()
    assert partial < len(picture)
    cloud.start()
    rows = arrived(owner, device, {1})
    eventually(lambda: owner.events(device)[0]["media"][0]["stored"], "the file is complete", 120)
    assert owner.bytes(f"/v1/devices/{device}/media/{rows[0]['media'][0]['sha256']}") == picture


def partial_upload(cloud: Cloud) -> int | None:
    """Bytes of the largest file that is on its way."""
    media = cloud.data / "media"
    sizes = [path.stat().st_size for path in media.rglob("*") if path.is_file()] if media.exists() else []
    return max(sizes, default=0) or None


def test_a_stranger_sees_nothing(cloud: Cloud, station: Station, owner: Owner) -> None:
    go_online(station)
    device = claim(station, owner)
    stranger = Browser(cloud.url())
    unknown = "dev_00000000000000000000000000"
    for path in (f"/stations/{device}", f"/v1/devices/{device}", f"/v1/devices/{device}/events"):
        assert stranger.status(path) == stranger.status(path.replace(device, unknown))
    assert owner.status(f"/v1/devices/{unknown}") == 404
    with pytest.raises(urllib.error.HTTPError):
        stranger.json(f"/v1/devices/{device}")


def test_nowhere_in_the_cloud_is_a_private_key_of_a_station(
    cloud: Cloud, station: Station, owner: Owner
) -> None:
    go_online(station)
    claim(station, owner)
    key = (station.data / "identity/device.key").read_text().splitlines()[1].encode()
    pin = card_pin(station)
    for path in cloud.data.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert key not in data, path
            assert pin.encode() not in data or path.suffix != ".db", path
    assert HOME.encode() not in (cloud.data / "cloud.db").read_bytes()


def card_pin(station: Station) -> str:
    """The PIN from the station's own disk."""
    import json

    return str(json.loads((station.data / "identity/card.json").read_text())["pin"])
