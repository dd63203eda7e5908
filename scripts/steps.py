"""Steps that several journeys share, told as the person does them."""

from __future__ import annotations

from typing import Any

from scripts.people import Browser, Owner, Page
from scripts.processes import Station, eventually

HOME = b"Home".hex()
NAME = "Roof south"


def event(number: int, **changes: Any) -> dict[str, Any]:
    """A small event with its own name."""
    return {
        "client_event_id": f"test:{number}",
        "event_type": "meteor",
        "timestamp": f"2026-01-01T00:00:{number % 60:02d}Z",
        "confidence": 0.9,
    } | changes


def choose_network(station: Station, password: str, network: str = HOME) -> Page:
    """On the phone: open the portal, pick the network, type the password."""
    phone = Browser(station.url())
    page = phone.get(f"/setup?network={network}")
    return phone.send(page, "/setup/join", password=password)


def go_online(station: Station) -> None:
    """The network is right and the station waits to be claimed."""
    choose_network(station, "correct horse")
    station.wait_for("network_ready", "claiming", "activating", "operational")


def card(station: Station) -> dict[str, str]:
    """Short id, PIN and link, as the claim card shows them."""
    shown: dict[str, str] = eventually(lambda: station.status()["card"], "the card shows")
    return shown


def add_station(owner: Owner, short_id: str, pin: str, name: str = NAME) -> Page:
    """At the cloud: "Add station", type short id and PIN, name it."""
    page = owner.get("/stations/add")
    return owner.send(page, "/stations/add", short_id=short_id, pin=pin, name=name)


def claim(station: Station, owner: Owner, name: str = NAME) -> str:
    """The whole claim by PIN; the device id."""
    shown = card(station)
    add_station(owner, shown["short_id"], shown["pin"], name)
    station.wait_for("operational")
    return device_named(owner, name)


def device_named(owner: Owner, name: str) -> str:
    """The id of the station that the owner gave this name."""
    found = eventually(
        lambda: next((each for each in owner.stations() if each["name"] == name), None),
        f"the cloud lists {name}",
    )
    return str(found["id"])


def arrived(owner: Owner, device: str, numbers: set[int], seconds: float = 60.0) -> list[dict[str, Any]]:
    """Waits until exactly these events are in the cloud, once each; newest first."""
    wanted = {f"test:{number}" for number in numbers}

    def look() -> list[dict[str, Any]] | None:
        rows = owner.events(device)
        return rows if {row["client_event_id"] for row in rows} >= wanted else None

    rows = eventually(look, f"{wanted} arrive", seconds)
    names = [row["client_event_id"] for row in rows]
    assert sorted(names) == sorted(wanted), "something is doubled or foreign"
    return rows
