"""The real avahi-daemon on two machines of a network: what one tells, the other finds."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.namespaces import Namespace, why_no_namespaces, wire
from tests.networkmanager.buses import private_bus, why_no_bus
from tests.visitor import eventually

pytestmark = [pytest.mark.mdns, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
NAME = "meteor-kxpmvt.local"
PROGRAMS = {"avahi-daemon": "avahi-daemon", "avahi-browse": "avahi-utils"}
_CONFIG = "[server]\nhost-name={name}\nenable-dbus=yes\n[publish]\npublish-workstation=no\n"
# A folder of its own, so that the machine's own Avahi is not in the way.
_OWN_RUN = 'mount -t tmpfs tmpfs /run && mkdir /run/avahi-daemon && exec "$@"'


@dataclass
class Machine:
    """One computer with a bus, and an Avahi when it is started."""

    space: Namespace
    bus: str
    folder: Path
    programs: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_avahi(self) -> None:
        """As Debian starts it, but for its user and its folder."""
        config = self.folder / "avahi.conf"
        config.write_text(_CONFIG.format(name=self.folder.name))
        daemon = ("avahi-daemon", "--no-drop-root", "--no-chroot", "--no-rlimits", "-f", config)
        self._start("sh", "-c", _OWN_RUN, "sh", *daemon)

    def stop_avahi(self) -> None:
        """Without a farewell."""
        daemon = self.programs.pop()
        daemon.kill()
        daemon.wait()

    def announce(self, short_id: str = "KXPMVT") -> None:
        """The station's part."""
        self.programs.insert(
            0, self._popen(sys.executable, ROOT / "tests/mdns/announce.py", short_id, self.folder)
        )

    def at(self, address: str) -> None:
        """What the link is now; nothing for none."""
        (self.folder / "address").write_text(address)

    def said(self) -> str:
        """Everything that the programs wrote."""
        return (self.folder / "log").read_text(errors="replace")

    def finds(self) -> list[list[str]]:
        """Stations in the network: interface, protocol, title, type, domain, host, address, port, text."""
        said = self._run("avahi-browse", "--resolve", "--parsable", "--terminate", "_meteor._tcp")
        return [line.split(";")[1:] for line in said.splitlines() if line.startswith("=")]

    def resolves(self, name: str) -> str:
        """The IPv4 address of a name."""
        said = self._run("avahi-resolve", "-4", "-n", name)
        return said.split()[1] if said.startswith(name) else ""

    def _run(self, *command: str) -> str:
        return self.space.run("env", f"DBUS_SYSTEM_BUS_ADDRESS={self.bus}", *command, check=False)

    def _start(self, *command: object) -> None:
        self.programs.append(self._popen(*command))

    def _popen(self, *command: object) -> subprocess.Popen[bytes]:
        environment = (f"DBUS_SYSTEM_BUS_ADDRESS={self.bus}", f"PYTHONPATH={ROOT}")
        return self.space.popen("env", *environment, *command, log=self.folder / "log")


@dataclass
class Network:
    """The station, a neighbour, and a cable."""

    station: Machine
    neighbour: Machine


@pytest.fixture
def network() -> Iterator[Network]:
    """Both machines, their Avahis running."""
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian: apt install {package})")
    if reason := why_no_namespaces() or why_no_bus():
        pytest.skip(reason)
    with ExitStack() as stack:
        station, neighbour = (_machine(stack, name) for name in ("mstation", "mneighbour"))
        wire(station.space, "eth0", neighbour.space, "eth0")
        for machine, address in ((station, "192.168.77.2"), (neighbour, "192.168.77.3")):
            machine.space.ip("addr", "add", f"{address}/24", "dev", "eth0")
            machine.start_avahi()
        station.at("192.168.77.2")
        yield Network(station, neighbour)


def _machine(stack: ExitStack, name: str) -> Machine:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mdns-"))) / name
    folder.mkdir()
    bus = stack.enter_context(private_bus())
    space = Namespace.made(name)
    stack.callback(space.remove)
    machine = Machine(space, bus, folder)
    stack.callback(_end, machine)
    return machine


def _end(machine: Machine) -> None:
    for program in machine.programs:
        program.kill()
        program.wait()


def found(network: Network, text: str) -> bool:
    """Whether the neighbour finds the station at its IPv4 address with this in its record."""
    for _, protocol, title, _, _, host, address, port, record in network.neighbour.finds():
        assert (title, host, port) == ("Meteor\\032station\\032KXPMVT", NAME, "8080")
        if protocol == "IPv4" and address in text and all(part in record for part in text.split()[1:]):
            return True
    return False


def test_a_neighbour_finds_the_pages_by_name_and_by_service(network: Network) -> None:
    network.station.announce()
    eventually(lambda: f"name={NAME}" in network.station.said(), "the name is established")
    eventually(lambda: found(network, '192.168.77.2 "id=KXPMVT" "claimed=0" "path=/status"'), "the service")
    assert network.neighbour.resolves(NAME) == "192.168.77.2"
    assert "reverse" not in network.station.said()


def test_the_computers_own_name_stays(network: Network) -> None:
    network.station.announce()
    eventually(lambda: network.neighbour.resolves(NAME) == "192.168.77.2", "the station's name")
    eventually(lambda: network.neighbour.resolves("mstation.local") == "192.168.77.2", "the computer's name")


def test_another_address_and_an_owner_are_told(network: Network) -> None:
    network.station.announce()
    eventually(lambda: found(network, "192.168.77.2"), "the service")
    network.station.space.ip("addr", "del", "192.168.77.2/24", "dev", "eth0")
    network.station.space.ip("addr", "add", "192.168.77.9/24", "dev", "eth0")
    network.station.at("192.168.77.9")
    (network.station.folder / "owner").touch()
    eventually(lambda: found(network, '192.168.77.9 "claimed=1"'), "the new place")


def test_without_a_network_the_name_is_taken_back(network: Network) -> None:
    network.station.announce()
    eventually(lambda: found(network, "192.168.77.2"), "the service")
    network.station.at("")
    eventually(lambda: network.neighbour.finds() == [], "the farewell")
    assert network.station.said().rstrip().endswith("name=")


def test_an_avahi_that_comes_back_is_told_again(network: Network) -> None:
    network.station.announce()
    eventually(lambda: f"name={NAME}" in network.station.said(), "the name is established")
    network.station.stop_avahi()
    eventually(lambda: "no name on the local network" in network.station.said(), "its end is noticed")
    network.station.start_avahi()
    eventually(lambda: network.station.said().count(f"name={NAME}") > 1, "the name is established again")


def test_the_second_of_one_name_has_only_its_address(network: Network) -> None:
    network.station.announce()
    eventually(lambda: network.neighbour.resolves(NAME) == "192.168.77.2", "the first")
    network.neighbour.at("192.168.77.3")
    network.neighbour.announce()
    eventually(
        lambda: "another station on this network has the name" in network.neighbour.said(), "the clash"
    )
    assert network.neighbour.resolves(NAME) == "192.168.77.2"
    assert f"name={NAME}" not in network.neighbour.said()
