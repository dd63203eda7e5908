"""The network port on NetworkManager: puts the parts together; one caller at a time has the radio."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp

from appliance.network import regulatory, verdict
from appliance.network.connector import Connector
from appliance.network.country import read_countries
from appliance.network.heard import networks
from appliance.network.networkmanager.air import open_networks
from appliance.network.networkmanager.bus import CallFailed
from appliance.network.networkmanager.commands import Commands
from appliance.network.networkmanager.hotspot import Hotspot
from appliance.network.networkmanager.hotspot_ports import (
    BelieveNetworkManager,
    HotspotCheck,
    HotspotServices,
    NoServices,
)
from appliance.network.networkmanager.joining import Joiner, refuse_wpa3, speaking_of
from appliance.network.networkmanager.ladder import Ladder
from appliance.network.networkmanager.profiles import StoredProfile
from appliance.network.networkmanager.radio import Radio
from appliance.network.networkmanager.service import Service
from appliance.network.networkmanager.stored import ProfileCommands, Profiles
from appliance.network.networkmanager.watch import HOLD_S, LinkWatch
from appliance.network.port import Credentials, HotspotFailed, HotspotInfo, JoinFailed, Link, Network
from appliance.network.probe import Probe
from appliance.network.recovery import reconnection_order
from appliance.network.sae import Believe, Sae, SaeLook

log = logging.getLogger(__name__)

SETTLE_S = 20.0
"""At the start a link that is just coming up is waited for, so that no hotspot flashes up before it."""


LOOK_S = 60.0


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
        look_seconds: float = LOOK_S,
        dedicated: bool = True,
        allow_open: bool = False,
        sae: SaeLook | None = None,
    ) -> None:
        """`bus_address` is D-Bus's, None for the system bus; `hold_seconds` how long a restart of
        NetworkManager may take without being noticed, `look_seconds` how often it is looked whether the
        hotspot is still in the air. On a machine that is not `dedicated` to the station,
        `forget_all` leaves the networks that somebody else has stored."""
        self._dedicated = dedicated
        self._sae = sae or Believe()
        self._look_seconds = look_seconds
        self._allow_open = allow_open
        self._borrowed: bytes | None = None
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
        self._menders: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Without NetworkManager there is no link, until it comes."""
        if self._menders:
            return
        await self._service.start()
        await self._sweep()
        self._watch.start()
        await self._watch.settle(SETTLE_S)
        for work in (self._mend(), self._tend()):
            mender = asyncio.create_task(work, name="hotspot")
            mender.add_done_callback(_report_death)
            self._menders.append(mender)

    async def close(self) -> None:
        menders, self._menders = self._menders, []
        for mender in menders:
            mender.cancel()
        if menders:
            await asyncio.wait(menders)
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
        sae = await self._can_wpa3()
        return networks(points, set(await self.stored()), self._radio.bands, sae=sae)

    async def _can_wpa3(self) -> bool:
        interface = self._radio.interface
        return interface is None or await self._sae.look(interface) is not Sae.CANNOT

    async def join(self, credentials: Credentials) -> Link:
        async with self._one_radio:
            sae = await self._can_wpa3()
            if not sae:  # while the hotspot is still open
                refuse_wpa3(credentials, [*self._radio.points(), *self._hotspot.heard])
            await self._hotspot.stop()
            await self._joiner.join(credentials, sae=sae)
            self._last, self._borrowed = credentials.ssid, None
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
            known = await self._known()
            if link.online and link.ssid is not None and link.ssid == self._borrowed:
                return await self._give_back(known)
            if link.online:
                return link
            current = link.ssid or self._last
            order = reconnection_order(current, (profile.ssid for profile in known))
            if order:
                await self._hotspot.stop()
            try:
                return await self._first_that_works(order, known)
            except JoinFailed as failure:
                return await self._last_resorts(failure, {profile.ssid for profile in known})

    async def _give_back(self, known: list[StoredProfile]) -> Link:
        """Leaves a stranger's network for a known one that is in the air again, if that works."""
        borrowed = self._borrowed
        await self._radio.rescan()
        heard = {point.ssid for point in self._radio.points()}
        order = [ssid for ssid in reconnection_order(None, (p.ssid for p in known)) if ssid in heard]
        if not order or borrowed is None:
            return self.link()
        try:
            link = await self._first_that_works(order, known)
        except JoinFailed as failure:
            return await self._last_resorts(failure, {profile.ssid for profile in known})
        await self._drop_trials()
        return link

    async def _drop_trials(self) -> None:
        try:
            await self._profiles.sweep()
        except CallFailed as error:
            log.warning("the profile of an open network is still there: %s", error)

    async def _last_resorts(self, failure: JoinFailed, known: set[bytes]) -> Link:
        """Open networks, where they are allowed, then modems. Raises `JoinFailed` NET-007 when none works."""
        causes = list(failure.causes)
        if self._allow_open:
            await self._drop_trials()
            await self._radio.rescan()
        for ssid in open_networks(self._radio.points(), known) if self._allow_open else []:
            log.warning("no known network works; trying the open network %r", ssid)
            try:
                await self._joiner.borrow(ssid)
            except JoinFailed as refused:
                causes.append(refused)
                continue
            self._borrowed = ssid
            log.warning("on the open network %r, until a known one is back", ssid)
            return self.link()
        for modem in await self._modems():
            try:
                await self._joiner.dial(modem)
            except JoinFailed as refused:
                log.info("the modem does not connect: %s", refused.code)
                causes.append(refused)
                continue
            log.info("connected by modem")
            return await self._watch.look_again()
        raise JoinFailed(verdict.ALL_FAILED, causes=causes)

    async def _modems(self) -> list[StoredProfile]:
        try:
            return [profile for profile in await self._profiles.all() if profile.kind in ("gsm", "cdma")]
        except CallFailed as error:
            log.warning("profiles of modems cannot be read: %s", error)
            return []

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
                    self._last, self._borrowed = ssid, None
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
        link = self._watch.link()
        return replace(link, borrowed=True) if link.ssid is not None and link.ssid == self._borrowed else link

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

    async def _tend(self) -> None:
        """Opens the hotspot anew where phones cannot get in, and where it has fallen silent."""
        while True:
            await self._hotspot.wait_unfit(self._look_seconds)
            async with self._one_radio:
                if (given_up := await self._hotspot.give_up()) is not None:
                    await self._reopen(given_up)

    async def _reopen(self, info: HotspotInfo) -> None:
        log.warning("the hotspot is down; opening it again")
        try:
            await self._hotspot.start(info)
        except HotspotFailed as failure:
            log.warning("no hotspot: %s", failure)


def _report_death(mender: asyncio.Task[None]) -> None:
    if not mender.cancelled() and (error := mender.exception()):
        log.critical("the hotspot is no longer looked after", exc_info=error)
