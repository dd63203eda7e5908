"""Watches who comes to the hotspot's radio, as long as it is open: `iw event` and the supplicant.

To judge the radio both are needed. Without the supplicant's word a wrong key would look like a radio that
cannot do it, so nothing is counted then. When the first phone has its address the radio is proved.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from appliance.network import iw
from appliance.network.hotspot import supplicant
from appliance.network.hotspot.child import Child, ChildFailed
from appliance.network.hotspot.newcomers import Newcomers, Visitors

log = logging.getLogger(__name__)


class Witness:
    """One hotspot at a time. `tell` hears whether a phone got in."""

    def __init__(
        self, tell: Callable[[bool], None], visitors: Visitors, sockets: Path = supplicant.FOLDER
    ) -> None:
        self._tell = tell
        self._visitors = visitors
        self._sockets = sockets
        self._newcomers: Newcomers | None = None
        self._watching: asyncio.Task[None] | None = None

    def start(self, interface: str) -> None:
        """Begins with one that has just opened."""
        self._newcomers = Newcomers(interface, self._tell, self._visitors)
        self._watching = asyncio.create_task(self._watch(interface, self._newcomers), name="newcomers")

    async def stop(self) -> None:
        """Nothing more is told."""
        self._newcomers = None
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.wait([watching])

    def leased(self) -> None:
        """dnsmasq gave an address."""
        if self._newcomers is not None:
            self._newcomers.leased()

    async def _watch(self, interface: str, newcomers: Newcomers) -> None:
        path = await asyncio.to_thread(iw.program)
        if path is None:
            log.info("phones that do not get in are not seen: iw is not installed")
            return
        events = Child([path, "event"], None, newcomers.kernel, stream="stdout")
        try:
            await events.start()
            await self._listen(interface, newcomers)
        except ChildFailed as why:
            log.info("phones that do not get in are not seen: %s", why)
        finally:
            await events.stop()

    async def _listen(self, interface: str, newcomers: Newcomers) -> None:
        try:
            await supplicant.listen(interface, newcomers.supplicant, self._sockets)
        except supplicant.NotListening as why:
            log.info("phones that do not get in are not counted: %s", why)
        newcomers.blind()
        await asyncio.Event().wait()  # the kernel's word alone still says who came
