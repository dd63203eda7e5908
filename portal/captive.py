"""How a captive portal answers each phone and computer; a pure decision, no HTTP objects.

Every system asks some address of its maker whether it is online and opens the portal when the answer is
not the one it expects. The rules here:

- Answers go by path and by default, never by a list of hosts: makers add hosts, and vendors' Androids
  have their own.
- Until a client is done, everything foreign gets a 302 with `Cache-Control: no-store`: 301 would be
  remembered, 511 is not understood, 204 would tell Android that all is well.
- Apple's sheet looks again only after a real page load, and its one button is Cancel, which leaves the
  network, until it sees the Success page. So a client is done once it has loaded a last page.
- Windows opens /redirect in the browser and needs a real redirection there, always.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

from portal.view import Snapshot


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send instead of a page. A `location` of "/" means the portal's own start page."""

    status: int
    body: str = ""
    content_type: str = "text/html"
    location: str | None = None


TO_PORTAL = Answer(302, location="/")

_APPLE = Answer(200, "<HTML><HEAD><TITLE>Success</TITLE></HEAD><BODY>Success</BODY></HTML>")
_FIREFOX = '<meta http-equiv="refresh" content="0;url=https://support.mozilla.org/kb/captive-portal"/>'

ONLINE: dict[str, Answer] = {
    # iOS, iPadOS, macOS
    "/hotspot-detect.html": _APPLE,
    "/library/test/success.html": _APPLE,
    # Android, ChromeOS, Chrome
    "/generate_204": Answer(204),
    "/gen_204": Answer(204),
    # Windows
    "/connecttest.txt": Answer(200, "Microsoft Connect Test", "text/plain"),
    "/ncsi.txt": Answer(200, "Microsoft NCSI", "text/plain"),
    "/redirect": TO_PORTAL,
    # Firefox
    "/canonical.html": Answer(200, _FIREFOX),
    "/success.txt": Answer(200, "success\n", "text/plain"),
    # NetworkManager as Debian, GNOME and Arch ask; others by the header that every answer has then
    "/nm": Answer(200, "NetworkManager is online\n", "text/plain"),
    "/check_network_status.txt": Answer(200, "NetworkManager is online\n", "text/plain"),
    "/nm-check.txt": Answer(200, "NetworkManager is online\n", "text/plain"),
    # Kindle
    "/kindle-wifi/wifistub.html": Answer(
        200, "<html><body>81ce4465-7167-4dcb-835b-dcc9e44c112a</body></html>"
    ),
}
"""What each probe wants to hear when its client is done; also the list of paths that are probes."""


def decide(path: str, *, own_host: bool, done: bool) -> Answer | None:
    """The captive answer, or None when the request is for one of our own pages."""
    if own_host and path not in ONLINE:
        return None
    return ONLINE.get(path, TO_PORTAL) if done else TO_PORTAL


def is_own_host(host: str, names: frozenset[str]) -> bool:
    """Whether a Host header means this station: any address literal, localhost or a configured name.

    A literal needs no list: the client can only have got here by connecting to it, and it gives no
    opening to DNS rebinding, which needs a name.
    """
    name = host.rpartition(":")[0] if _has_port(host) else host
    name = name.strip("[]").rstrip(".").lower()
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return name == "localhost" or name in names
    return True


def _has_port(host: str) -> bool:
    return host.rpartition(":")[2].isdigit() and (host.count(":") == 1 or "]" in host)


def setup_goes_on(snapshot: Snapshot) -> bool:
    """Whether a person still has to do something with the network."""
    return snapshot.phase in ("setup", "configuring")


class Visitors:
    """Which clients have loaded a last page, bounded; forgotten when set-up begins again."""

    MAX_CLIENTS = 64

    def __init__(self) -> None:
        self._done: OrderedDict[str, None] = OrderedDict()

    def loaded_last_page(self, client: str, snapshot: Snapshot) -> None:
        """Remember that `client` saw a page after which nothing is left to do on this network."""
        if snapshot.phase not in ("claiming", "operational"):
            return
        self._done[client] = None
        self._done.move_to_end(client)
        if len(self._done) > self.MAX_CLIENTS:
            self._done.popitem(last=False)

    def done(self, client: str, snapshot: Snapshot) -> bool:
        """Whether this client's probes may be told that it is online."""
        if setup_goes_on(snapshot):
            self._done.clear()
        return snapshot.network.online and client in self._done
