"""The real dnsmasq as the product calls it, asked as phones ask: with and without an uplink on the machine.

Packets to and from phones, leases and the packet filter are in `tests/hotspot`; here only the answers, so
this needs no nftables.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from pathlib import Path
from subprocess import Popen

import pytest

from appliance.device import HOTSPOT_ADDRESS
from appliance.network.hotspot.dnsmasq import command
from tests.namespaces import Namespace, taken_away, why_no_namespaces, wire
from tests.visitor import AAAA, HTTPS, NOERROR, A, DnsAnswer, Visitor, eventually

pytestmark = [pytest.mark.hotspot, pytest.mark.timeout(300)]

OWN, UPSTREAM, WINDOWS_ANSWER = "10.42.0.1", "192.168.77.1", "131.107.255.255"
NAMES = (
    "captive.apple.com",
    "connectivitycheck.gstatic.com",
    "www.msftconnecttest.com",
    "dns.msftncsi.com",  # what Windows expects here is WINDOWS_ANSWER
    "detectportal.firefox.com",
    "use-application-dns.net",  # Firefox' question whether to keep its hands off the network's names
    "mask.icloud.com",
    "meteor",
    "localhost.example",
    "1.2.0.192.in-addr.arpa.example",
)


@dataclass
class Names:
    """A station's namespace with `ap0`, a phone on it, and perhaps a name server on a cable."""

    folder: Path
    station: Namespace
    phone: Visitor
    lan: Namespace
    programs: list[Popen[bytes]] = field(default_factory=list)

    def serve(self, *left_out: str, more: tuple[str, ...] = ()) -> None:
        """The product's dnsmasq; `left_out` and `more` change its call for a control."""
        program = shutil.which("dnsmasq") or "dnsmasq"
        call = command(program, "ap0", IPv4Interface(f"{OWN}/24"), HOTSPOT_ADDRESS, self.folder / "leases")
        words = [*(word for word in call if word not in left_out), *more]
        # `ip netns exec` gives each command its own mounts, so the machine's resolv.conf stays as it is.
        inside = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        self._start(self.station, "sh", "-c", inside, str(self.folder / "resolv.conf"), *words)

    def plug_in(self) -> None:
        """A cable to a network whose name server knows an address of each kind for every name."""
        wire(self.station, "eth0", self.lan, "eth0")
        self.lan.ip("addr", "add", f"{UPSTREAM}/24", "dev", "eth0")
        self.station.ip("addr", "add", "192.168.77.2/24", "dev", "eth0")
        self.station.ip("route", "add", "default", "via", UPSTREAM)
        words = ("--keep-in-foreground", "--conf-file=/dev/null", "--pid-file", "--no-resolv", "--no-hosts")
        known = (
            "--address=/#/203.0.113.9",
            "--address=/#/2001:db8::9",
            f"--address=/msftncsi.com/{WINDOWS_ANSWER}",
        )
        self._start(self.lan, "dnsmasq", *words, *known, "--log-queries", "--log-facility=-")

    def _start(self, space: Namespace, *words: str) -> None:
        log = self.folder / f"{space.name}.log"
        self.programs.append(space.popen(*words, log=log))
        eventually(lambda: ":53 " in space.run("ss", "-Hlun"), "names are answered")

    def asked_upstream(self) -> bool:
        log = self.folder / f"{self.lan.name}.log"
        return log.exists() and "query[" in log.read_text()

    def answers(self, name: str) -> dict[tuple[int, bool], DnsAnswer]:
        """By type and whether over TCP."""
        return {
            (kind, tcp): self.phone.resolve(name, kind, tcp=tcp)
            for kind in (A, AAAA, HTTPS)
            for tcp in (False, True)
        }


@pytest.fixture
def names() -> Iterator[Names]:
    if reason := why_no_namespaces("dnsmasq", "mount"):
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="met-"))
    spaces = [Namespace.made(name) for name in ("names", "asker", "cable")]
    station, phone, lan = spaces
    made = Names(folder, station, Visitor(phone, "wlan", folder, {"dns": OWN}), lan)
    with taken_away(folder, spaces, made.programs):
        (folder / "resolv.conf").write_text(f"nameserver {UPSTREAM}\n")
        wire(station, "ap0", phone, "wlan")
        for address in (f"{OWN}/24", f"{HOTSPOT_ADDRESS}/32"):
            station.ip("addr", "add", address, "dev", "ap0")
        phone.ip("addr", "add", "10.42.0.57/24", "dev", "wlan")
        yield made


@pytest.mark.parametrize("uplink", [False, True], ids=["no cable", "cable"])
def test_every_name_is_the_portal_and_has_no_other_record_with_or_without_an_uplink(
    names: Names, uplink: bool
) -> None:
    if uplink:
        names.plug_in()
    names.serve()
    for name in NAMES:
        for (kind, tcp), answer in names.answers(name).items():
            expected = (HOTSPOT_ADDRESS,) if kind == A else ()
            assert (answer.code, answer.addresses) == (NOERROR, expected), (name, kind, tcp)
    assert not names.asked_upstream()


@pytest.mark.parametrize("uplink", [False, True], ids=["no cable", "cable"])
def test_windows_does_not_hear_the_address_that_means_the_internet_is_there(
    names: Names, uplink: bool
) -> None:
    if uplink:
        names.plug_in()
    names.serve()
    answer = names.phone.resolve("dns.msftncsi.com")
    assert answer.addresses == (HOTSPOT_ADDRESS,) != (WINDOWS_ANSWER,)


def test_a_name_server_that_looks_upward_would_leak_on_this_machine(names: Names) -> None:
    """The control: cable and resolv.conf are real, so the silence above is the configuration's work."""
    names.plug_in()
    names.serve("--no-resolv", "--no-poll", "--local=/#/")
    assert names.phone.resolve("captive.apple.com", AAAA).addresses == ("2001:db8::9",)
    assert names.asked_upstream()


def test_the_rule_for_addresses_alone_would_refuse_the_other_records(names: Names) -> None:
    """The control of `--local=/#/`: without it a phone hears REFUSED and may give the network up."""
    names.serve("--local=/#/")
    assert names.phone.resolve("captive.apple.com", AAAA).code != NOERROR
