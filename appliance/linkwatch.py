"""Follows the link and tells the machine, the buffer and the heartbeat what it means for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from appliance.conductor import Conductor
from appliance.network.port import Link, NetworkPort
from statemachine.lifecycle import Trigger

log = logging.getLogger(__name__)


class LinkWatch:
    """One task. `online` is set while the station is; services wait on it."""

    def __init__(self, network: NetworkPort, conductor: Conductor, online: asyncio.Event) -> None:
        self._network = network
        self._conductor = conductor
        self._online = online
        self._came_up: list[Callable[[], None]] = []

    def when_up(self, action: Callable[[], None]) -> None:
        """Calls `action` at every return of the link."""
        self._came_up.append(action)

    async def run(self) -> None:
        """Until cancelled."""
        async for link in self._network.changes():
            self._take(link)

    def _take(self, link: Link) -> None:
        if link.online == self._online.is_set():
            return
        if not link.online:
            log.warning("link lost")
            self._online.clear()
            self._offer(Trigger.NETWORK_LOST)
            return
        log.info("link up: %s", link.kind)
        self._online.set()
        self._offer(Trigger.LINK_UP)
        for action in self._came_up:
            action()

    def _offer(self, trigger: Trigger) -> None:
        """Only where it means something; a stage that waits for the link itself sees it by itself."""
        if self._conductor.allows(trigger):
            self._conductor.request(trigger)
