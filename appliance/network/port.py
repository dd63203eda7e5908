"""The network port: what the station knows of networks and asks of whatever drives the radio.

Nothing here drives anything. An SSID is bytes from one end to the other (IEEE 802.11 gives it 0 to 32
octets and no encoding). Passwords never show in a repr.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface
from typing import Literal, Protocol

import aiohttp

from appliance.network.country import RegulatoryDomain
from appliance.network.verdict import VERDICTS, Verdict


class Security(StrEnum):
    """How a network asks who comes."""

    OPEN = "open"
    WEP = "wep"
    WPA2 = "wpa2"
    WPA3 = "wpa3"
    ENTERPRISE = "enterprise"


@dataclass(frozen=True, slots=True)
class Network:
    """One network in the air. `signal` is 0-100; `bands` are those of "2.4" and "5" in which this radio can
    join it; `known` means: a password is stored; `beyond`: it asks for WPA3, which this radio cannot do."""

    ssid: bytes
    signal: int
    security: Security
    bands: tuple[str, ...]
    known: bool
    beyond: bool = False


@dataclass(frozen=True, slots=True)
class Enterprise:
    """How to prove who one is to a network with accounts (802.1X); the password is `Credentials.passphrase`.

    The server must be checked against `ca_certificate`, a PEM file, and `domain`, the end of its name, when
    given. Without a file `unchecked` must say that anybody may pose as the network and get the password.
    """

    method: Literal["peap", "ttls"]
    identity: str
    anonymous_identity: str | None = None
    ca_certificate: str | None = None
    domain: str | None = None
    unchecked: bool = False

    def __post_init__(self) -> None:
        """Raises `ValueError` for neither a certificate nor the explicit wish to go without."""
        if not self.identity:
            raise ValueError("identity: is empty. Give the name of the account.")
        if not self.ca_certificate and not self.unchecked:
            raise ValueError("ca_certificate: name the authority's file, or set unchecked to do without.")


@dataclass(frozen=True, slots=True)
class StaticAddress:
    """An IPv4 address that is not asked from the router: `address` with prefix ("192.168.1.50/24")."""

    address: str
    gateway: str | None = None
    dns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises `ValueError` for what is no address; the text names the field."""
        for name, text in (("gateway", self.gateway), *(("dns", each) for each in self.dns)):
            if text is not None and not _is_ipv4(text):
                raise ValueError(f"{name}: {text!r} is no IPv4 address. Write it like 192.168.1.1.")
        try:
            whole = "/" in self.address and IPv4Interface(self.address).network.prefixlen > 0
        except ValueError:
            whole = False
        if not whole:
            raise ValueError(
                f"address: {self.address!r} is none with a prefix. Write it like 192.168.1.50/24."
            )


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Credentials:
    """What it takes to join a network. `passphrase` is None for an open one.

    Without `static` the router gives the address; `enterprise` belongs to `Security.ENTERPRISE` alone.
    """

    ssid: bytes
    passphrase: str | None = field(repr=False)
    security: Security
    hidden: bool
    enterprise: Enterprise | None = None
    static: StaticAddress | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """The way to the world now. `signal` is 0-100, `signal_dbm` in dBm; both are None without Wi-Fi.

    `online` means that the internet was reached, not only the router.
    """

    kind: Literal["none", "wifi", "ethernet", "cellular"] = "none"
    ssid: bytes | None = None
    address: str | None = None
    mac: str | None = None
    signal: int | None = None
    signal_dbm: float | None = None
    online: bool = False
    borrowed: bool = False
    """A stranger's open network, used because no known one works, and left when one does."""


NO_LINK = Link()


@dataclass(frozen=True, slots=True)
class HotspotInfo:
    """The station's own set-up network; `address` is where its portal answers.

    `open` asks for one without a key, and says of an open one that it has none. `may_be_open` allows it as
    the last resort of a radio that cannot protect one.
    """

    ssid: str
    passphrase: str = field(repr=False)
    address: str
    open: bool = False
    may_be_open: bool = False


class NetworkError(Exception):
    """Base of the family: `code` names a `Verdict`, `ssid` the network it is about, if it is about one."""

    def __init__(self, code: str, ssid: bytes | None = None) -> None:
        self.verdict: Verdict = VERDICTS[code]
        self.code = code
        self.ssid = ssid
        shown = "the network" if ssid is None else ssid.decode("utf-8", "backslashreplace")
        self.sentence = self.verdict.sentence % {"ssid": shown}
        self.action = self.verdict.action
        super().__init__(f"{code}: {self.sentence} {self.action}")


class JoinFailed(NetworkError):
    """No link was made. `causes` are the failures behind NET-007, in the order of the attempts."""

    def __init__(self, code: str, ssid: bytes | None = None, causes: Iterable[JoinFailed] = ()) -> None:
        super().__init__(code, ssid)
        self.causes = tuple(causes)


class HotspotFailed(NetworkError):
    """The set-up network could not be opened."""


class NetworkPort(RegulatoryDomain, Protocol):
    """What the station asks of the network. Between `start` and `close` every method may be called."""

    async def start(self) -> None:
        """Takes the radio over and looks at what is there. Joins nothing by itself."""

    async def close(self) -> None:
        """Gives the radio back; links stay as they are."""

    async def scan(self, rescan: bool = False) -> list[Network]:
        """Networks in the air, one per SSID, strongest first; from the last scan unless
        `rescan`. Hidden networks are not in it. Empty without a radio."""

    async def join(self, credentials: Credentials) -> Link:
        """Tries a network, and keeps it only when it works.

        Raises `JoinFailed`; then (and when cancelled) the network of before is back and nothing that was
        stored is lost.
        """

    async def stored(self) -> list[bytes]:
        """SSIDs with stored credentials, the most recently joined first."""

    async def reconnect(self) -> Link:
        """The link as it is when it is online; else the current network, then the stored ones in order.

        Raises `JoinFailed` with NET-007 when none works.
        """

    async def forget_all(self) -> None:
        """Leaves the Wi-Fi network and deletes everything that is stored, durably.

        Raises `JoinFailed` when nothing is known to be deleted, because nobody answers or it is not allowed.
        """

    def link(self) -> Link:
        """The link now."""

    def changes(self) -> AsyncIterator[Link]:
        """The link now, then each new one. A slow reader may miss some in between, never the latest."""

    async def start_hotspot(self, info: HotspotInfo) -> None:
        """Opens the set-up network, or replaces the open one. Raises `HotspotFailed`."""

    async def stop_hotspot(self) -> None:
        """Closes the set-up network, if it is open."""

    def hotspot(self) -> HotspotInfo | None:
        """The set-up network, while it is open."""

    def connector(self) -> aiohttp.BaseConnector:
        """A new connector, owned by the caller, through which every connection to the cloud must be made."""
