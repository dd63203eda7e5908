"""From power-on to the first event in the cloud, by each of the three ways to claim a station."""

from __future__ import annotations

import hashlib
import random
import re
import urllib.parse

from scripts.people import Browser, Owner
from scripts.processes import Cloud, Station, eventually
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

PICTURE = b"\xff\xd8\xff\xe0" + random.Random(7).randbytes(2_000_000) + b"\xff\xd9"


def test_a_person_with_a_phone_brings_a_station_into_the_cloud(station: Station, owner: Owner) -> None:
    phone = Browser(station.url())
    page = phone.get("/")
    assert page.url.endswith("/setup")
    assert "Home" in page.text

    shown = card(station)
    waiting = add_station(owner, shown["short_id"], shown["pin"])
    assert "waiting" in waiting.text.lower()

    page = phone.send(phone.get(f"/setup?network={HOME}"), "/setup/join", password="wrong password")
    station.wait_for("setup")
    page = phone.get("/progress")
    assert "was not accepted" in page.text
    assert "NET-001" in page.text
    assert "wrong password" not in page.html, "a password is never echoed"

    choose_network(station, "correct horse")
    station.wait_for("operational")
    device = device_named(owner, NAME)
    eventually(lambda: owner.stations()[0]["tone"] == "running", "the station's tile turns green")

    station.drop("first", event(1, media_files=["sky.jpg"]), sky_dot_jpg=PICTURE)
    rows = arrived(owner, device, {1})
    stored = eventually(
        lambda: [m for m in owner.events(device)[0]["media"] if m["stored"]], "the picture arrives"
    )
    assert stored[0]["sha256"] == hashlib.sha256(PICTURE).hexdigest()
    assert owner.bytes(f"/v1/devices/{device}/media/{stored[0]['sha256']}") == PICTURE
    assert rows[0]["timestamp"].startswith("2026-01-01T00:00:01")


def test_the_start_is_logged_in_the_order_that_a_technician_expects(station: Station) -> None:
    eventually(lambda: "startup telemetry queued" in station.text(), "the start is over")
    steps = ("fingerprint generated", "hotspot started", "QR and PIN published", "startup telemetry queued")
    places = [station.text().find(step) for step in steps]
    assert -1 not in places
    assert places == sorted(places)


def test_a_scanned_code_claims_without_typing(station: Station, owner: Owner) -> None:
    go_online(station)
    short_id, _, secret = urllib.parse.urlsplit(card(station)["claim_url"]).fragment.partition(".")
    page = owner.get("/stations/add")
    owner.send(page, "/stations/add", short_id=short_id, link_secret=secret, name="By link")
    station.wait_for("operational")
    assert device_named(owner, "By link")


def claim_code(owner: Owner, name: str) -> str:
    """A claim code from the account, as the page shows it once."""
    page = owner.send(owner.get("/stations/add"), "/stations/code", name=name)
    found = re.search(r"mct_[A-Za-z0-9_-]{43}", page.html)
    assert found, page.text
    return found[0]


def test_a_code_from_the_account_claims_a_running_station(station: Station, owner: Owner) -> None:
    code = claim_code(owner, "By code")
    go_online(station)
    done = station.cli("register", code)
    assert done.returncode == 0, done.stderr
    assert "By code" in done.stdout
    station.wait_for("operational")

    again = station.cli("register", code)
    assert again.returncode == 4
    assert "REG-003" in again.stderr


def test_a_code_claims_a_station_that_is_not_running(cloud: Cloud, station: Station, owner: Owner) -> None:
    station.stop()
    done = station.cli("register", claim_code(owner, "Before power-on"))
    assert done.returncode == 0, done.stderr
    station.start()
    station.wait_for("setup")
    choose_network(station, "correct horse")
    station.wait_for("operational")
    assert device_named(owner, "Before power-on")
    again = station.cli("register", "mct_" + "A" * 43)
    assert again.returncode == 4


def test_a_code_typed_at_the_portal_makes_network_and_claim_one_step(station: Station, owner: Owner) -> None:
    code = claim_code(owner, "One step")
    phone = Browser(station.url())
    page = phone.get(f"/setup?network={HOME}")
    phone.send(page, "/setup/join", password="correct horse", claim_code=code)
    station.wait_for("operational")
    assert device_named(owner, "One step")


def test_a_wrong_pin_is_told_and_five_of_them_change_the_card(station: Station, owner: Owner) -> None:
    go_online(station)
    eventually(lambda: "waits for a person" in station.text(), "the cloud knows of the station")
    shown = card(station)
    wrong = f"{(int(shown['pin']) + 1) % 10**6:06d}"
    for _ in range(5):
        page = add_station(owner, shown["short_id"], wrong)
        assert "PIN" in page.text
        assert NAME not in [each["name"] for each in owner.stations()]
    renewed = eventually(
        lambda: each if (each := card(station))["pin"] != shown["pin"] else None, "the card gets a new PIN"
    )
    assert renewed["short_id"] == shown["short_id"]


def test_what_happens_while_the_cloud_is_away_arrives_once_and_the_urgent_first(
    cloud: Cloud, station: Station, owner: Owner
) -> None:
    go_online(station)
    device = claim(station, owner)
    station.drop("a", event(1))
    arrived(owner, device, {1})
    cloud.stop()
    for number, priority in ((2, "low"), (3, "normal"), (4, "high"), (5, "critical"), (6, "high")):
        station.drop(f"e{number}", event(number, priority=priority))
    spool = station.data / "spool"
    eventually(lambda: not list(spool.glob("*.json")) and waiting(station) >= 5, "all five events wait")
    assert station.state() in ("operational", "reconnecting")
    cloud.start()
    assert station.cli("status").returncode == 0
    rows = arrived(owner, device, {1, 2, 3, 4, 5, 6})
    order = [row["client_event_id"] for row in sorted(rows, key=lambda row: row["cursor"])]
    assert order == ["test:1", "test:5", "test:4", "test:6", "test:3", "test:2"]
    assert station.cli("buffer", "ls").returncode == 0


def waiting(station: Station) -> int:
    """Messages in the buffer."""
    return sum(row["count"] for row in station.status()["backlog"]["waiting"])


def test_page_and_command_line_tell_the_same_truth(station: Station, owner: Owner) -> None:
    go_online(station)
    claim(station, owner)
    eventually(lambda: waiting(station) == 0, "nothing waits")
    page = Browser(station.url()).get("/status").text
    command = station.cli("status").stdout
    for fact in ("Home", card_name(station), "running"):
        assert fact in page, fact
        assert fact in command, fact


def card_name(station: Station) -> str:
    return str(station.status()["short_id"])


def test_a_lost_link_comes_back_by_itself(station: Station, owner: Owner) -> None:
    go_online(station)
    device = claim(station, owner)
    quiet = station.scenario.read_text()
    station.scenario.write_text('link = "lost"\n' + quiet)
    station.wait_for("reconnecting")
    station.drop("dark", event(9))
    eventually(lambda: waiting(station) >= 1, "the event is kept")
    station.scenario.write_text(quiet)
    station.wait_for("operational")
    arrived(owner, device, {9})


def test_a_reset_makes_a_new_station_and_keeps_what_waits(station: Station, owner: Owner) -> None:
    go_online(station)
    claim(station, owner)
    before = station.status()["short_id"]
    done = station.cli("reset", "--yes")
    assert done.returncode == 0, done.stderr
    eventually(lambda: new_short_id(station) not in (None, before), "a new short id")
    station.wait_for("setup")
    assert not station.status()["claimed"]


def new_short_id(station: Station) -> str | None:
    try:
        return str(station.status()["short_id"])
    except OSError:
        return None


def test_what_got_a_yes_and_is_not_yet_confirmed_does_not_count_as_waiting(
    station: Station, owner: Owner
) -> None:
    go_online(station)
    device = claim(station, owner)
    station.drop("once", event(1))
    arrived(owner, device, {1})
    eventually(lambda: waiting(station) == 0, "nothing waits")
    listed = station.cli("buffer", "ls").stdout
    assert "high 0, normal 0, low 0" in listed
    assert "sent" in listed and "test:1" in listed
    figures = Browser(station.url()).get("/metrics").html
    assert 'meteor_uplink_unconfirmed_messages{lane="events"} 0' not in figures
    eventually(lambda: "Nothing waits." in station.cli("buffer", "ls").stdout, "it is confirmed", 90, every=2)
