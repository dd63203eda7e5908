"""What each system asks on a new network and what it concludes, written from its own rules, not from ours.

Sources: Apple's captive network assistant as the Wireless Broadband Alliance documents it; Android's
NetworkMonitor and CaptivePortalProbeResult; Microsoft's "Network Connectivity Status Indicator"; Firefox'
CaptiveDetect; NetworkManager's nm-connectivity.c; ChromeOS shill's PortalDetector; the page Kindles load.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial

from tests.conformance.wire import Air, Reply


class Verdict(Enum):
    """What a system believes of the network it is on."""

    ONLINE = auto()
    LIMITED = auto()  # the plain probe is answered, the one by HTTPS is not: no page is opened
    PORTAL = auto()
    NO_INTERNET = auto()


Conclude = Callable[[Air], Awaitable[Verdict]]


@dataclass(frozen=True, slots=True)
class Client:
    """One system: its judgement, and the address that it shows when it finds a portal."""

    name: str
    conclude: Conclude
    opens: str
    agent: str = "Mozilla/5.0"

    def __str__(self) -> str:
        return self.name


# --- Apple --------------------------------------------------------------------------------------------------

SUCCESS = b"<HTML><HEAD><TITLE>Success</TITLE></HEAD><BODY>Success</BODY></HTML>"
WISPR = "CaptiveNetworkSupport-481.100.1 wispr"


async def apple(air: Air, url: str) -> Verdict:
    """Status 200 with exactly this page is online; every other answer opens the sheet."""
    reply = await air.get(url, WISPR)
    if reply is None:
        return Verdict.NO_INTERNET
    return Verdict.ONLINE if (reply.status, reply.body.strip()) == (200, SUCCESS) else Verdict.PORTAL


# --- Android ------------------------------------------------------------------------------------------------

JAVA_PRIVATE = [
    ipaddress.ip_network(net)
    for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
]
"""What NetworkMonitor calls private: site-local, link-local and unique local. TEST-NET-1 is none of them."""


def android_status(reply: Reply | None) -> int:
    """The probe's code: 599 is Android's own for a failure, and for a 200 that says next to nothing."""
    if reply is None:
        return 599
    return 599 if reply.status == 200 and len(reply.body) <= 4 else reply.status


async def android(air: Air, host: str, *, private_rule: bool = False) -> Verdict:
    """The plain and the HTTPS probe in parallel; a portal found by the first wins, then the fallbacks."""
    address = ipaddress.ip_address(air.address)
    if private_rule and any(address in net for net in JAVA_PRIVATE if net.version == address.version):
        return Verdict.NO_INTERNET  # "DNS response to the URL is private IP" ends the evaluation
    plain = android_status(await air.get(f"http://{host}/generate_204"))
    secure = android_status(await air.get("https://www.google.com/generate_204"))
    if 200 <= plain <= 399 and plain != 204:
        return Verdict.PORTAL
    if secure == 204:
        return Verdict.ONLINE
    return Verdict.LIMITED if plain == 204 else await _android_fallbacks(air)


async def _android_fallbacks(air: Air) -> Verdict:
    for url in ("http://www.google.com/gen_204", "http://play.googleapis.com/generate_204"):
        code = android_status(await air.get(url))
        if 200 <= code <= 399 and code != 204:
            return Verdict.PORTAL
        if code == 204:
            return Verdict.LIMITED
    return Verdict.NO_INTERNET


async def chromeos(air: Air) -> Verdict:
    """A redirection with a target, or content in place of 204, is a portal; both probes 204 is online."""
    plain = await air.get("http://www.gstatic.com/generate_204")
    secure = await air.get("https://www.google.com/generate_204")
    if plain is None:
        return Verdict.NO_INTERNET
    if plain.status in (301, 302, 303, 307, 308):
        return Verdict.PORTAL if "location" in plain.headers else Verdict.NO_INTERNET
    if plain.status == 200 and plain.body:
        return Verdict.PORTAL
    if plain.status != 204:
        return Verdict.NO_INTERNET
    return Verdict.ONLINE if secure and secure.status == 204 else Verdict.LIMITED


# --- computers and readers ----------------------------------------------------------------------------------


async def windows(air: Air, url: str, says: bytes) -> Verdict:
    """Status 200 with exactly this text is online; another answer opens the browser at /redirect."""
    reply = await air.get(url, "Microsoft NCSI")
    if reply is None:
        return Verdict.NO_INTERNET
    return Verdict.ONLINE if (reply.status, reply.body) == (200, says) else Verdict.PORTAL


async def firefox(air: Air) -> Verdict:
    """Redirections are not followed: 3xx and a page with other content are a portal, 4xx and 5xx are not."""
    canonical = b'<meta http-equiv="refresh" content="0;url=https://support.mozilla.org/kb/captive-portal"/>'
    found = await _page(air, "http://detectportal.firefox.com/canonical.html", canonical)
    if found is not Verdict.ONLINE:
        return found
    return await _page(air, "http://detectportal.firefox.com/success.txt?ipv4", b"success")


async def _page(air: Air, url: str, content: bytes) -> Verdict:
    reply = await air.get(url)
    if reply is None or reply.status >= 400:
        return Verdict.NO_INTERNET
    right = 200 <= reply.status < 300 and reply.body.strip() == content
    return Verdict.ONLINE if right else Verdict.PORTAL


async def networkmanager(air: Air, url: str, says: bytes) -> Verdict:
    """The header is enough, whatever the status; else 200 must begin with the text."""
    reply = await air.get(url)
    if reply is None:
        return Verdict.NO_INTERNET
    if reply.headers.get("x-networkmanager-status", "").startswith("online"):
        return Verdict.ONLINE
    if reply.status == 200:
        return Verdict.ONLINE if reply.body.startswith(says) else Verdict.PORTAL
    return Verdict.PORTAL if reply.status == 511 or 300 <= reply.status <= 399 else Verdict.NO_INTERNET


async def kindle(air: Air) -> Verdict:
    """The page with this mark is online; another one opens the browser at wifiredirect.html."""
    reply = await air.get("http://spectrum.s3.amazonaws.com/kindle-wifi/wifistub.html")
    if reply is None:
        return Verdict.NO_INTERNET
    right = reply.status == 200 and b"81ce4465-7167-4dcb-835b-dcc9e44c112a" in reply.body
    return Verdict.ONLINE if right else Verdict.PORTAL


# --- the table ----------------------------------------------------------------------------------------------

_IOS = "http://captive.apple.com/hotspot-detect.html"
_GOOGLE = "connectivitycheck.gstatic.com"
_NM = b"NetworkManager is online"


def _apple(name: str, url: str) -> Client:
    return Client(
        name, partial(apple, url=url), url, "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) Mobile/15E148"
    )


def _android(name: str, host: str, *, private_rule: bool = False) -> Client:
    conclude = partial(android, host=host, private_rule=private_rule)
    return Client(name, conclude, f"http://{host}/generate_204", "Mozilla/5.0 (Linux; Android 15) Mobile")


def _networkmanager(name: str, url: str) -> Client:
    return Client(f"NetworkManager, {name}", partial(networkmanager, url=url, says=_NM), url)


_WINDOWS = "http://www.msftconnecttest.com"

CLIENTS = [
    _apple("iOS and macOS", _IOS),
    _apple("iOS, its other page", "http://captive.apple.com/library/test/success.html"),
    _apple("older Apple systems", "http://www.apple.com/library/test/success.html"),
    _android("Android", _GOOGLE),
    _android("Android with its private-address rule", _GOOGLE, private_rule=True),
    _android("Android of another maker", "connect.rom.miui.com", private_rule=True),
    Client("ChromeOS", chromeos, "http://www.gstatic.com/generate_204"),
    Client(
        "Windows",
        partial(windows, url=f"{_WINDOWS}/connecttest.txt", says=b"Microsoft Connect Test"),
        f"{_WINDOWS}/redirect",
    ),
    Client(
        "older Windows",
        partial(windows, url="http://www.msftncsi.com/ncsi.txt", says=b"Microsoft NCSI"),
        f"{_WINDOWS}/redirect",
    ),
    Client("Firefox", firefox, "http://detectportal.firefox.com/canonical.html"),
    _networkmanager("Debian", "http://network-test.example/nm"),
    _networkmanager("GNOME", "http://nmcheck.gnome.org/check_network_status.txt"),
    _networkmanager("Ubuntu", "http://connectivity-check.ubuntu.com/"),
    _networkmanager("Arch", "http://ping.archlinux.org/nm-check.txt"),
    Client("Kindle", kindle, "http://spectrum.s3.amazonaws.com/kindle-wifi/wifiredirect.html"),
]
