"""The simulated world: what a scenario file may say, and what is true at a moment. Pure but for reading it.

A scenario is TOML. Everything is optional but at least one network or the cable::

    join_seconds = 2.0        # how long joining takes
    scan_seconds = 1.0        # how long looking around takes
    radio = true              # false: a station without Wi-Fi
    ethernet = false          # true: a cable is plugged in
    country = "DE"            # what every network says of the country ("" says nothing)
    internet = true           # false: no network, not even the cable, has internet behind it
    link = "up"               # "lost": every Wi-Fi network is out of reach; "back" is the same as "up"

    [[networks]]
    name = "Meadow House"     # or name_hex = "4d65..." for bytes that are no text
    signal = 82               # 0-100
    security = "wpa2"         # open, wep, wpa2, wpa3, enterprise
    password = "correct horse"
    band = "2.4"              # or "5"
    hidden = false            # true: not in the list, joins when its name is typed
    in_range = true
    latency_ms = 0            # added to every request; fault = "slow" means 800
    fault = "no_dhcp"         # or no_internet, captive, refuses, slow

    [[events]]                # at seconds after the start, any of the values above may change
    at = 12.5
    link = "lost"

    [[events]]
    at = 60
    network = "Meadow House"  # with `network`: the values of that network change
    in_range = false

The file is read again when it changes, so a person or a test edits it while the station runs. From then on
the edited file is the truth: events whose time has passed by then are not played again.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from appliance.network.port import Security

Fault = Literal["none", "no_dhcp", "no_internet", "captive", "refuses", "slow"]
LinkWord = Literal["up", "lost", "back"]
Country = Annotated[str, Meta(pattern="^([A-Z]{2})?$")]
Seconds = Annotated[float, Meta(ge=0, le=86400)]
SLOW_MS = 800.0
MAX_SSID_OCTETS = 32


class ScenarioRefused(Exception):
    """A scenario that cannot be played; the text names the file, the field and the remedy."""

    code = "SIM-001"

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{self.code}: {source}: {reason}")


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the tables of the file: a mistyped key is named instead of ignored."""


class SimulatedAccessPoint(_Table, frozen=True):
    """One access point. Several may share a name, as in a house with repeaters."""

    name: str = ""
    name_hex: str = ""
    signal: Annotated[int, Meta(ge=0, le=100)] = 60
    security: Security = Security.WPA2
    password: str = ""
    band: Literal["2.4", "5"] = "2.4"
    hidden: bool = False
    in_range: bool = True
    latency_ms: Annotated[float, Meta(ge=0, le=60_000)] = 0
    fault: Fault = "none"

    @property
    def label(self) -> str:
        """How events name this access point: as the file does."""
        return self.name or self.name_hex

    @property
    def ssid(self) -> bytes:
        """The name on the air."""
        return bytes.fromhex(self.name_hex) if self.name_hex else self.name.encode()

    @property
    def delay_s(self) -> float:
        """Seconds that every request through this network takes longer."""
        slow = SLOW_MS if self.fault == "slow" and not self.latency_ms else self.latency_ms
        return slow / 1000


class _Event(_Table, frozen=True):
    at: Seconds
    network: str | None = None
    link: LinkWord | None = None
    ethernet: bool | None = None
    internet: bool | None = None
    country: Country | None = None
    signal: Annotated[int, Meta(ge=0, le=100)] | None = None
    password: str | None = None
    in_range: bool | None = None
    latency_ms: Annotated[float, Meta(ge=0, le=60_000)] | None = None
    fault: Fault | None = None


class Scenario(_Table, frozen=True):
    """One file, as it was read."""

    join_seconds: Seconds = 2.0
    scan_seconds: Seconds = 1.0
    radio: bool = True
    ethernet: bool = False
    internet: bool = True
    country: Country = ""
    link: LinkWord = "up"
    networks: tuple[SimulatedAccessPoint, ...] = ()
    events: tuple[_Event, ...] = ()


@dataclass(frozen=True, slots=True)
class World:
    """What is true at one moment."""

    radio: bool
    ethernet: bool
    internet: bool
    country: str
    access_points: tuple[SimulatedAccessPoint, ...]

    def strongest(self, ssid: bytes) -> SimulatedAccessPoint | None:
        """The best access point in reach with this name."""
        named = [point for point in self.access_points if point.ssid == ssid]
        return max(named, key=lambda point: point.signal, default=None)


_WORLD_VALUES = ("link", "ethernet", "internet", "country")
_NETWORK_VALUES = ("signal", "password", "in_range", "latency_ms", "fault")


def read(path: Path) -> Scenario:
    """The scenario in a file. Raises `ScenarioRefused`, also for a file that cannot be read."""
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        reason = f"cannot be read ({error.strerror}). Check the path and the file's mode."
        raise ScenarioRefused(str(path), reason) from None
    except UnicodeDecodeError:
        raise ScenarioRefused(str(path), "is not UTF-8. Save it as UTF-8 text.") from None


def parse(text: str, source: str = "scenario") -> Scenario:
    """The scenario in TOML text. Raises `ScenarioRefused`."""
    try:
        scenario = msgspec.convert(tomllib.loads(text), Scenario)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioRefused(source, f"is not valid TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise ScenarioRefused(source, str(error).replace("`$.", "`")) from None
    _check(scenario, source)
    return scenario


def _check(scenario: Scenario, source: str) -> None:
    if not scenario.networks and not scenario.ethernet:
        # Also what a file looks like while an editor has emptied it to write it anew.
        raise ScenarioRefused(source, "has neither networks nor ethernet. Add one [[networks]] table.")
    for index, point in enumerate(scenario.networks):
        _check_name(point, f"networks[{index}]", source)
    names = {point.label for point in scenario.networks}
    for index, event in enumerate(scenario.events):
        if event.network is not None and event.network not in names:
            raise ScenarioRefused(source, f"events[{index}].network: no network is named {event.network!r}.")
        values = _WORLD_VALUES if event.network is not None else _NETWORK_VALUES
        if wrong := [name for name in values if getattr(event, name) is not None]:
            remedy = "leave `network` away" if event.network is not None else "add `network`"
            raise ScenarioRefused(source, f"events[{index}].{wrong[0]}: does not fit here; {remedy}.")


def _check_name(point: SimulatedAccessPoint, where: str, source: str) -> None:
    try:
        octets = len(point.ssid)
    except ValueError:
        raise ScenarioRefused(source, f"{where}.name_hex: is not hexadecimal.") from None
    if bool(point.name) == bool(point.name_hex):
        raise ScenarioRefused(source, f"{where}: give either name or name_hex.")
    if octets > MAX_SSID_OCTETS:
        raise ScenarioRefused(source, f"{where}.name: has {octets} octets; at most {MAX_SSID_OCTETS} fit.")
    if point.security in (Security.WPA2, Security.WPA3) and not point.password:
        raise ScenarioRefused(source, f"{where}.password: is missing. Add one, or set security to open.")


def world(scenario: Scenario, elapsed: float, read_at: float) -> World:
    """The world at `elapsed` seconds after the start, when the file was read at `read_at` seconds.

    A first reading has a `read_at` below zero, so that events at zero are played too.
    """
    values: dict[str, Any] = {name: getattr(scenario, name) for name in _WORLD_VALUES}
    points = list(scenario.networks)
    for event in sorted(scenario.events, key=lambda event: event.at):
        if read_at < event.at <= elapsed:
            if event.network is None:
                values.update(_changed(event, _WORLD_VALUES))
            else:
                changed = _changed(event, _NETWORK_VALUES)
                points = [
                    msgspec.structs.replace(point, **changed) if point.label == event.network else point
                    for point in points
                ]
    there = scenario.radio and values["link"] != "lost"
    reachable = tuple(point for point in points if there and point.in_range)
    return World(scenario.radio, values["ethernet"], values["internet"], values["country"], reachable)


def _changed(event: _Event, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(event, name)) is not None}


DEFAULT_SCENARIO = """\
# The world around a simulated station. Edit and save it while the station runs: it is read again.
# Try: link = "lost", wait, then link = "up". Or give a network a fault: no_dhcp, no_internet, captive,
# refuses or slow. Passwords are the ones that you type into the station's set-up page.

join_seconds = 2.0
scan_seconds = 1.0
ethernet = false
internet = true
country = "DE"
link = "up"

[[networks]]
name = "Meadow House"
signal = 82
security = "wpa2"
password = "meteor shower"

[[networks]]
name = "Meadow House"        # the repeater upstairs: the list shows a name once
signal = 55
band = "5"
security = "wpa2"
password = "meteor shower"

[[networks]]
name = "Sternwarte Süd ✨"
signal = 64
band = "5"
security = "wpa3"
password = "perseiden 1992"

[[networks]]
name = "Barn (no DHCP)"
signal = 58
password = "no address here"
fault = "no_dhcp"

[[networks]]
name = "Village Hall (no internet)"
signal = 47
password = "dead end here"
fault = "no_internet"

[[networks]]
name = "Guest House (login page)"
signal = 41
security = "open"
fault = "captive"

[[networks]]
name = "Far Hill (slow)"
signal = 22
password = "patience please"
fault = "slow"

[[networks]]
name = "University"
signal = 35
security = "enterprise"

[[networks]]
name = "Attic"
signal = 50
password = "nobody sees me"
hidden = true
"""
