"""How the hotspot's own dnsmasq is called, and what its log says of phones: pure; it runs elsewhere.

No upstream server ever: with one, names that no rule covers would leak to it, and a phone would see the real
internet's answers when the station has a cable. `address=/#/` alone refuses AAAA and HTTPS queries (measured
with 2.90); with `local=/#/` they get an empty answer, which sends phones to the IPv4 address at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Literal

LEASE_SECONDS = 3600
READY = "started, version"

Step = Literal["lease", "name"]

_LINE = re.compile(
    r"dnsmasq(?:-dhcp)?(?:\[\d+\])?: "
    r"(?:DHCPACK\(\S+\) (?P<leased>[0-9.]+) (?P<hardware>\S+)|query\[\S+\] \S+ from (?P<asked>[0-9.]+)$)"
)


@dataclass(frozen=True, slots=True)
class Trace:
    """A phone reached a step: it was given an address, or asked for a name."""

    address: str
    step: Step
    hardware: str = ""
    """The hardware address of one that was given an address; not to be kept."""


def command(program: str, interface: str, own: IPv4Interface, answer: str, leases: Path) -> list[str]:
    """The whole call. `own` is the hotspot's address with its network, `answer` what every name leads to."""
    first, last = own.network.network_address + 10, own.network.broadcast_address - 5
    return [
        program,
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--pid-file",
        "--log-facility=-",
        "--log-queries",
        f"--interface={interface}",
        "--except-interface=lo",
        "--bind-interfaces",
        "--no-resolv",
        "--no-poll",
        "--no-hosts",
        "--cache-size=0",
        "--local=/#/",
        f"--address=/#/{answer}",
        f"--dhcp-range={first},{last},{own.netmask},{LEASE_SECONDS}s",
        f"--dhcp-option=option:router,{own.ip}",
        f"--dhcp-option=option:dns-server,{own.ip}",
        f"--dhcp-leasefile={leases}",
        "--dhcp-authoritative",
        "--dhcp-rapid-commit",
        "--no-ping",  # the check costs a phone three seconds, and nobody else gives leases here
    ]


def trace(line: str) -> Trace | None:
    """What a line of the log says of a phone, if it says something. Names are not kept."""
    found = _LINE.search(line)
    if found is None:
        return None
    if leased := found["leased"]:
        return Trace(leased, "lease", found["hardware"])
    return Trace(found["asked"], "name")
