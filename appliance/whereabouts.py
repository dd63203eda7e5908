"""Where the station's pages are on the network it joined, told to display, board and neighbours.

The numeric address always comes with the name: not every phone knows names that end in `.local`.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.network.mdns import Announcer
from appliance.network.port import NetworkPort
from appliance.panel import Panel
from statemachine.lifecycle import Transition


class Whereabouts:
    """One task beside that of the announcer, which it wakes. `announce` tells the pages that are open."""

    def __init__(
        self,
        network: NetworkPort,
        announcer: Announcer,
        panel: Panel,
        port: int,
        announce: Callable[[], None],
    ) -> None:
        self._network, self._announcer, self._panel = network, announcer, panel
        self._port = port
        self._announce = announce

    async def run(self) -> None:
        """Follows the link until cancelled."""
        async for _ in self._network.changes():
            self._announcer.look()
            self._show()

    def follow(self, _step: Transition) -> None:
        """Observer of the conductor: the station may belong to somebody now, or to nobody."""
        self._announcer.look()

    def named(self) -> None:
        """The name on the network has changed."""
        self._show()
        self._announce()

    def _show(self) -> None:
        name = self._announcer.name
        address = pages_url(self._network.link().address, self._port)
        self._panel.show_pages(address, pages_url(name, self._port) if address else "")


def pages_url(host: str | None, port: int) -> str:
    """The URL of the pages at a name or address; nothing for no host."""
    if not host:
        return ""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}/" if port == 80 else f"http://{shown}:{port}/"
