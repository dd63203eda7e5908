"""The network as the operating system has it, for a station on a cable or in a container.

It manages no radio: there is nothing to scan, to join or to store, and no hotspot. Only the link is followed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import netifaces

from appliance.network.connector import Connector
from appliance.network.latest import Latest
from appliance.network.port import (
    NO_LINK,
    Credentials,
    HotspotFailed,
    HotspotInfo,
    JoinFailed,
    Link,
    Network,
)
from appliance.network.verdict import ALL_FAILED, NO_RADIO
from firmware.sight import link_kind, signal_dbm

log = logging.getLogger(__name__)

LOOK_S = 5.0


class HostNetwork:
    """Implements `NetworkPort` without managing anything."""

    def __init__(self, look_seconds: float = LOOK_S) -> None:
        self._link = Latest(NO_LINK)
        self._look_seconds = look_seconds
        self._watcher: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to follow the default route."""
        if self._watcher is None:
            self._link.set(default_link())
            self._watcher = asyncio.create_task(self._watch(), name="host-network")

    async def close(self) -> None:
        """Stops following."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
            self._watcher = None

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._look_seconds)
            self._link.set(default_link())

    async def scan(self, rescan: bool = False) -> list[Network]:
        """Nothing: there is no radio that is ours."""
        return []

    async def join(self, credentials: Credentials) -> Link:
        """Raises `JoinFailed` NET-008."""
        raise JoinFailed(NO_RADIO, credentials.ssid)

    async def stored(self) -> list[bytes]:
        """Nothing is stored here."""
        return []

    async def reconnect(self) -> Link:
        """The link as it is now. Raises `JoinFailed` NET-007 without one."""
        self._link.set(default_link())
        if not self.link().online:
            raise JoinFailed(ALL_FAILED)
        return self.link()

    async def forget_all(self) -> None:
        """Nothing to forget."""

    async def neighbours(self) -> list[str]:
        """Nothing is heard."""
        return []

    async def set_country(self, code: str) -> None:
        """Left to the operating system, as its radio is."""

    def link(self) -> Link:
        """The default route's interface."""
        return self._link.get()

    def changes(self) -> AsyncIterator[Link]:
        """The link now, then each new one."""
        return self._link.changes()

    async def start_hotspot(self, info: HotspotInfo) -> None:
        """Raises `HotspotFailed`: the portal stays on the addresses that the machine has."""
        raise HotspotFailed(NO_RADIO)

    async def stop_hotspot(self) -> None:
        """There is none."""

    def hotspot(self) -> HotspotInfo | None:
        """There is none."""
        return None

    def connector(self) -> aiohttp.BaseConnector:
        """The operating system's way."""
        return Connector(limit=8)


def default_link() -> Link:
    """What the default route leads through; without one there is no link."""
    routes: Any = netifaces.gateways().get("default", {})
    for family in (netifaces.AF_INET, netifaces.AF_INET6):
        if family in routes:
            return _link_of(routes[family][1], family)
    return NO_LINK


def _link_of(interface: str, family: int) -> Link:
    addresses: Any = netifaces.ifaddresses(interface)
    own, hardware = addresses.get(family, [{}]), addresses.get(netifaces.AF_LINK, [{}])
    return Link(
        kind=link_kind(interface),
        address=own[0].get("addr"),
        mac=hardware[0].get("addr"),
        signal_dbm=signal_dbm(interface),
        online=True,
    )
