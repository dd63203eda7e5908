"""The network port on NetworkManager: puts the parts together; one caller at a time has the radio."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import aiohttp

from appliance.network import regulatory, verdict
from appliance.network.connector import Connector
from appliance.network.country import read_countries
from appliance.network.networkmanager.air import networks
from appliance.network.networkmanager.bus import CallFailed
from appliance.network.networkmanager.commands import Commands
from appliance.network.networkmanager.hotspot import (
    BelieveNetworkManager,
    Hotspot,
    HotspotCheck,
    HotspotServices,
    NoServices,
)
from appliance.network.networkmanager.joining import Joiner, speaking_of
from appliance.network.networkmanager.ladder import Ladder
from appliance.network.networkmanager.profiles import StoredProfile
from appliance.network.networkmanager.radio import Radio
from appliance.network.networkmanager.service import Service
from appliance.network.networkmanager.stored import ProfileCommands, Profiles
from appliance.network.networkmanager.watch import HOLD_S, LinkWatch
from appliance.network.port import Credentials, HotspotFailed, HotspotInfo, JoinFailed, Link, Network
from appliance.network.probe import Probe
from appliance.network.recovery import reconnection_order

log = logging.getLogger(__name__)

SETTLE_S = 20.0
"""At the start a link that is just coming up is waited for, so that no hotspot flashes up before it."""


class NetworkManagerNetwork:
    """Implements `NetworkPort`. Use it from one event loop."""

    def __init__(
        self,
        probe: Probe,
        *,
        bus_address: str | None = None,
        services: HotspotServices | None = None,
        check: HotspotCheck | None = None,
        ladder: Ladder | None = None,
        commands: ProfileCommands | None = None,
        hold_seconds: float = HOLD_S,
        dedicated: bool = True,
    ) -> None:
        """`bus_address` is D-Bus's, None for the system bus; `hold_seconds` how long a restart of
        NetworkManager may take without being noticed. On a machine that is not `dedicated` to the station,
        `forget_all` leaves the networks that somebody else has stored."""
        self._dedicated = dedicated
        self._service = Service(bus_address)
        self._profiles = Profiles(self._service, commands or Commands(bus_address))
        self._radio = Radio(self._service)
        self._watch = LinkWatch(self._service, probe, hold_seconds)
        self._joiner = Joiner(self._service, self._radio, self._profiles, self._watch)
        self._hotspot = Hotspot(
            self._service,
            self._radio,
            self._profiles,
            services or NoServices(),
            check or BelieveNetworkManager(),
            ladder,
        )
        self._one_radio = asyncio.Lock()
        self._last: bytes | None = None
        self._mender: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Without NetworkManager there is no link, until it comes."""
        if self._mender is not None:
            return
        await self._service.start()
        await self._sweep()
        self._watch.start()
        await self._watch.settle(SETTLE_S)
        self._mender = asyncio.create_task(self._mend(), name="hotspot")
        self._mender.add_done_callback(_report_death)

    async def close(self) -> None:
        mender, self._mender = self._mender, None
        if mender is not None:
            mender.cancel()
            await asyncio.wait([mender])
        await self._watch.close()
        await self.stop_hotspot()
        await self._service.close()

    async def _sweep(self) -> None:
        await self._hotspot.sweep()
        try:
            await self._profiles.sweep()
        except CallFailed as error:
            log.warning("what an earlier life has left is still there: %s", error)

    async def scan(self, rescan: bool = False) -> list[Network]:
        if rescan or not (self._radio.points() or self._hotspot.heard):
            await self._radio.rescan()
        points = [*self._radio.points(), *self._hotspot.heard]
        return networks(points, set(await self.stored()))

    async def join(self, credentials: Credentials) -> Link:
        async with self._one_radio:
            await self._hotspot.stop()
            await self._joiner.join(credentials)
            self._last = credentials.ssid
            log.info("joined %r", credentials.ssid)
            return self.link()

    async def stored(self) -> list[bytes]:
        return list(dict.fromkeys(profile.ssid for profile in await self._known()))

    async def _known(self) -> list[StoredProfile]:
        try:
            return await self._profiles.networks()
        except CallFailed as error:
            log.warning("stored networks cannot be read: %s", error)
            return []

    async def reconnect(self) -> Link:
        async with self._one_radio:
            link = await self._watch.look_again()
            if link.online:
                return link
            known = await self._known()
            current = link.ssid or self._last
            order = reconnection_order(current, (profile.ssid for profile in known))
            if order:
                await self._hotspot.stop()
            return await self._first_that_works(order, known)

    async def _first_that_works(self, order: list[bytes], known: list[StoredProfile]) -> Link:
        failures = []
        for ssid in order:
            for profile in (each for each in known if each.ssid == ssid):
                try:
                    await self._joiner.again(profile)
                except JoinFailed as failure:
                    log.info("stored network %r cannot be used: %s", ssid, failure.code)
                    failures.append(failure)
                else:
                    log.info("connected to %r", ssid)
                    self._last = ssid
                    return self.link()
        raise JoinFailed(verdict.ALL_FAILED, causes=failures)

    async def forget_all(self) -> None:
        """Raises `JoinFailed` when NetworkManager does not delete them."""
        async with self._one_radio:
            if not self._service.present:
                raise JoinFailed(verdict.BROKEN_OFF)  # not read is not the same as nothing stored
            with speaking_of(None):
                known = await self._profiles.networks()
                await self._profiles.delete(*(each for each in known if each.ours or self._dedicated))
            self._last = None

    async def neighbours(self) -> list[str]:
        interface = self._radio.interface
        return await read_countries(interface) if interface else []

    async def set_country(self, code: str) -> None:
        await regulatory.set_country(code)

    def link(self) -> Link:
        return self._watch.link()

    def changes(self) -> AsyncIterator[Link]:
        return self._watch.changes()

    async def start_hotspot(self, info: HotspotInfo) -> None:
        async with self._one_radio:
            await self._hotspot.start(info)

    async def stop_hotspot(self) -> None:
        async with self._one_radio:
            await self._hotspot.stop()

    def hotspot(self) -> HotspotInfo | None:
        return self._hotspot.info

    def connector(self) -> aiohttp.BaseConnector:
        """The operating system's way: routes are NetworkManager's work."""
        return Connector(limit=8)

    async def _mend(self) -> None:
        """After a restart of NetworkManager: removes leftovers, and opens the hotspot again."""
        seen = self._service.generation
        while True:
            await self._service.next_change()
            restarted = self._service.present and self._service.generation != seen
            if not restarted and self._hotspot.info is None:
                continue
            async with self._one_radio:
                lost = self._hotspot.lost()
                if restarted:
                    seen = self._service.generation
                    await self._sweep()
                if lost is not None:
                    await self._reopen(lost)

    async def _reopen(self, info: HotspotInfo) -> None:
        log.warning("the hotspot is down; opening it again")
        try:
            await self._hotspot.start(info)
        except HotspotFailed as failure:
            log.warning("no hotspot: %s", failure)


def _report_death(mender: asyncio.Task[None]) -> None:
    if not mender.cancelled() and (error := mender.exception()):
        log.critical("the hotspot is no longer looked after", exc_info=error)
