"""Tells the local network the station's name and pages (mDNS, DNS-SD) through Avahi's D-Bus interface.

Only this station's own name is published; the computer's stays as it is. Where Avahi is not there, the
numeric address is all there is. Source: avahi-daemon's org.freedesktop.Avahi.Server.xml and EntryGroup.xml,
avahi-common/defs.h; RFC 6762, RFC 6763.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from dbus_fast import Message

    from appliance.network.networkmanager.bus import Bus

log = logging.getLogger(__name__)

SERVICE_TYPE = "_meteor._tcp"
RETRY_S = 60.0
"""Until Avahi is asked again that was not there or refused."""
LOOK_S = 30.0
"""Between two looks at the addresses: those of IPv6 come and go without a new link."""

_AVAHI = "org.freedesktop.Avahi"
_SERVER = f"{_AVAHI}.Server"
_GROUP = f"{_AVAHI}.EntryGroup"
_ANY_PROTOCOL = -1
_NO_REVERSE = 16
"""AVAHI_PUBLISH_NO_REVERSE: the way back from the address belongs to the computer's own name."""


class _State(IntEnum):
    """AvahiEntryGroupState."""

    ESTABLISHED = 2
    COLLISION = 3
    FAILURE = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where the pages are: the interface's index, all its addresses, and the text that comes with them."""

    interface: int
    addresses: tuple[str, ...]
    text: tuple[str, ...]


class Announcer:
    """One for the life of the program. `where` tells the address that counts now, None without a network."""

    def __init__(
        self,
        short_id: str,
        port: int,
        where: Callable[[], str | None],
        claimed: Callable[[], bool],
        bus_address: str | None = None,
    ) -> None:
        self.host = f"meteor-{short_id.lower()}.local"
        self._short_id = short_id
        self._port = port
        self._where = where
        self._claimed = claimed
        self._told: Callable[[], None] = lambda: None
        self._bus_address = bus_address
        self._published: Place | None = None
        self._group: str | None = None
        self._state = 0
        self._again = asyncio.Event()
        self._absent = False

    @property
    def name(self) -> str:
        """The name under which others on this network find the station, or nothing."""
        return self.host if self._published is not None and self._state == _State.ESTABLISHED else ""

    def observe(self, told: Callable[[], None]) -> None:
        """Calls `told` whenever `name` may have changed."""
        self._told = told

    def look(self) -> None:
        """The link, or whom the station belongs to, may have changed."""
        self._again.set()

    async def run(self) -> None:
        """Until cancelled; whatever Avahi does."""
        from appliance.network.networkmanager.bus import Bus, CallFailed  # needed once there is a network

        while True:
            bus = Bus(self._bus_address)
            try:
                await self._serve(bus)
            except CallFailed as failure:
                if not self._absent:
                    log.info("no name on the local network, only the address: %s", failure)
                self._absent = True
            finally:
                bus.disconnect()
                self._forget()
            await asyncio.sleep(RETRY_S)

    async def _serve(self, bus: Bus) -> None:
        """Keeps what is published right. Raises `CallFailed` when Avahi or the bus is gone."""
        await self._until_there_is_a_network()
        await bus.connect()
        bus.when_lost(self._again.set)
        bus.listen(self._hear)
        await bus.match(sender=_AVAHI, interface=_GROUP)
        await bus.match(sender="org.freedesktop.DBus", member="NameOwnerChanged", arg0=_AVAHI)
        while True:
            self._again.clear()
            if (place := place_of(self._where(), self._text())) != self._published:
                await self._publish(bus, place)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._again.wait()

    async def _until_there_is_a_network(self) -> None:
        while place_of(self._where(), ()) is None:
            self._again.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._again.wait()

    async def _publish(self, bus: Bus, place: Place | None) -> None:
        async def call(path: str, interface: str, member: str, signature: str = "", *body: Any) -> list[Any]:
            return await bus.call(path, interface, member, signature, body, destination=_AVAHI)

        if self._group is not None:
            group, self._group = self._group, None
            await call(group, _GROUP, "Free")
        self._forget()
        if place is None:
            return
        [group] = await call("/", _SERVER, "EntryGroupNew")
        self._group, self._published = group, place
        on = (place.interface, _ANY_PROTOCOL)
        for address in place.addresses:
            await call(group, _GROUP, "AddAddress", "iiuss", *on, _NO_REVERSE, self.host, address)
        record = [self.title, SERVICE_TYPE, "", self.host, self._port]
        text = [line.encode() for line in place.text]
        await call(group, _GROUP, "AddService", "iiussssqaay", *on, 0, *record, text)
        await call(group, _GROUP, "Commit")
        self._absent = False

    @property
    def title(self) -> str:
        """What browsers of services list."""
        return f"Meteor station {self._short_id}"

    def _text(self) -> tuple[str, ...]:
        """The TXT record: which station, whether it has an owner, and the page to open."""
        return (f"id={self._short_id}", f"claimed={int(self._claimed())}", "path=/status")

    def _hear(self, message: Message) -> None:
        if message.member == "NameOwnerChanged":
            # A new Avahi knows nothing of what the one before was told.
            self._group = None
            self._forget()
        elif message.member == "StateChanged" and message.path == self._group:
            self._take(int(message.body[0]), str(message.body[1]))

    def _take(self, state: int, error: str) -> None:
        self._state = state
        if state == _State.COLLISION:
            log.warning(
                "another station on this network has the name %s; this one has only its address", self.host
            )
        elif state == _State.FAILURE:
            log.warning("the name %s cannot be published: %s", self.host, error)
        elif state == _State.ESTABLISHED:
            log.info("on this network as %s", self.host)
        self._told()

    def _forget(self) -> None:
        had = self.name
        self._published, self._state = None, 0
        if had:
            self._told()
        self._again.set()


def place_of(address: str | None, text: tuple[str, ...]) -> Place | None:
    """The interface that has this address, with its other addresses; None when there is none."""
    if address is None:
        return None
    for interface, owned in psutil.net_if_addrs().items():
        found = [each.address.partition("%")[0] for each in owned if each.family in _FAMILIES]
        if address in found:
            with suppress(OSError):  # it went away just now
                return Place(socket.if_nametoindex(interface), tuple(sorted(found)), text)
    return None


_FAMILIES = (socket.AF_INET, socket.AF_INET6)
