"""A set-up hotspot without a radio: the station, two phones, and the customer's wired network."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.namespaces import Namespace, taken_away, why_no_namespaces, why_no_packet_filter, wire
from tests.visitor import Visitor, eventually

PROGRAMS = ("unshare", "nft", "dnsmasq", "busybox")
PORTAL, OWN, LAN = "192.0.2.1", "10.42.0.1", "192.168.77.1"
INTERFACE = "ap0"
ROOT = Path(__file__).resolve().parent.parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/hotspot/test_packets" in str(item.path):
            item.add_marker(pytest.mark.hotspot)
            item.add_marker(pytest.mark.timeout(300))


@dataclass
class World:
    """Four machines. `ap0` stands for the radio with client isolation: a bridge with isolated ports."""

    folder: Path
    station: Namespace
    phone: Visitor
    neighbour: Visitor
    lan: Namespace
    programs: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def serve(self, space: Namespace, address: str, port: int, word: str) -> None:
        """A web server that answers everything with one word and the address it was reached at."""
        program = (ROOT / "tests/hotspot/one_word.py", address, port, word)
        self.programs.append(space.popen(sys.executable, *program, log=self.folder / "web.log"))
        eventually(lambda: f":{port} " in space.run("ss", "-Hltn"), f"{word} answers")

    def hotspot(self, *, portal_port: int = 80) -> Hotspot:
        """The services, started in a process of their own inside the station. They look for the page, too."""
        if f":{portal_port} " not in self.station.run("ss", "-Hltn"):
            self.serve(self.station, "0.0.0.0", portal_port, "portal")
        return Hotspot(self, portal_port)


class Hotspot:
    """A small program that runs the services as the station does, and can be killed as a power cut would."""

    def __init__(self, world: World, portal_port: int) -> None:
        self.world = world
        self.log = world.folder / f"hotspot-{len(world.programs)}.log"
        self.process = world.station.popen(
            *(sys.executable, ROOT / "tests/hotspot/serve.py", world.folder / "run", portal_port),
            *(INTERFACE, f"{OWN}/24", f"{PORTAL}/32"),
            log=self.log,
        )
        world.programs.append(self.process)
        eventually(lambda: "ready " in self.text() or self.process.poll() is not None, "the services start")
        assert "ready " in self.text(), self.text()

    def text(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def dnsmasq(self) -> int:
        """Its process."""
        return int(self.text().partition("ready ")[2].split()[0])

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)


@pytest.fixture
def world() -> Iterator[World]:
    """All machines, wired; the phones are associated but have no address yet."""
    if reason := why_no_namespaces(*PROGRAMS) or why_no_packet_filter():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="met-"))
    spaces = [Namespace.made(name) for name in ("station", "phone", "other", "lan")]
    station, phone, other, lan = spaces
    made = World(folder, station, Visitor(phone, "wlan", folder), Visitor(other, "wlan", folder), lan)
    with taken_away(folder, spaces, made.programs):
        _lay_out(made)
        yield made


def _lay_out(world: World) -> None:
    station = world.station
    station.ip("link", "add", INTERFACE, "type", "bridge")
    station.ip("link", "set", INTERFACE, "up")
    for number, visitor in enumerate((world.phone, world.neighbour)):
        wire(station, f"port{number}", visitor.space, visitor.interface)
        station.ip("link", "set", f"port{number}", "master", INTERFACE)
        station.run("bridge", "link", "set", "dev", f"port{number}", "isolated", "on")
    station.ip("addr", "add", f"{OWN}/24", "dev", INTERFACE)
    station.ip("addr", "add", f"{PORTAL}/32", "dev", INTERFACE)
    wire(station, "eth0", world.lan, "eth0")
    station.ip("addr", "add", "192.168.77.2/24", "dev", "eth0")
    station.ip("route", "add", "default", "via", LAN)
    world.lan.ip("addr", "add", f"{LAN}/24", "dev", "eth0")
    world.lan.ip("route", "add", "10.42.0.0/24", "via", "192.168.77.2")
    # The worst case: a machine that forwards, as one with containers on it does.
    station.sysctl("ipv4/ip_forward", 1)
