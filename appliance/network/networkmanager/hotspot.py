"""Opens and closes the set-up hotspot with NetworkManager; DHCP, DNS and filtering are somebody else's.

They come in as `HotspotServices`, and the look from outside as `HotspotCheck`.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface

from appliance.network import verdict
from appliance.network.networkmanager import names
from appliance.network.networkmanager.activation import activate
from appliance.network.networkmanager.air import AccessPoint
from appliance.network.networkmanager.bus import AccessRefused, CallFailed
from appliance.network.networkmanager.finishing import finish
from appliance.network.networkmanager.hotspot_ports import HotspotCheck, HotspotServices
from appliance.network.networkmanager.hotspot_profile import (
    all_addresses,
    hotspot_profile,
    quietest_channel,
    subnet,
)
from appliance.network.networkmanager.ladder import Ladder, Rung
from appliance.network.networkmanager.names import ActiveState
from appliance.network.networkmanager.radio import Radio
from appliance.network.networkmanager.service import Service
from appliance.network.networkmanager.stored import Profiles
from appliance.network.port import HotspotFailed, HotspotInfo, JoinFailed

log = logging.getLogger(__name__)

UP_S = 30.0
FRESH_S = 10.0
"""A scan that ended so long ago is still what a person sees round the station."""


@dataclass(frozen=True, slots=True)
class _Open:
    info: HotspotInfo
    profile: str


class Hotspot:
    """Remembers the rung that works on this radio, and channel and network, for as long as the process lives:
    a phone finds the hotspot again only where it was."""

    def __init__(
        self,
        service: Service,
        radio: Radio,
        profiles: Profiles,
        services: HotspotServices,
        check: HotspotCheck,
        ladder: Ladder | None = None,
    ) -> None:
        self._service = service
        self._radio = radio
        self._profiles = profiles
        self._services = services
        self._check = check
        self._ladder = ladder or Ladder()
        self._channel: int | None = None
        self._own: IPv4Interface | None = None
        self._open: _Open | None = None
        self._heard: list[AccessPoint] = []
        self._unfit = asyncio.Event()
        services.observe(self._came)

    @property
    def heard(self) -> list[AccessPoint]:
        """What was in the air before it opened; nothing while it is closed."""
        return self._heard if self._open else []

    @property
    def info(self) -> HotspotInfo | None:
        """The hotspot, while it is open."""
        return self._open.info if self._open else None

    @property
    def rung(self) -> Rung:
        """How it is protected, or would be."""
        return self._ladder.rung

    async def start(self, info: HotspotInfo) -> None:
        """Raises `HotspotFailed`; then nothing is left open."""
        await self.stop()
        try:
            await self._radio.wake(info.ssid.encode())
            if not self._radio.has_listened(FRESH_S):
                await self._radio.rescan()  # once it is up, scanning disturbs its clients
            points = self._radio.points()
            await self._climb_down(info, points)
            self._heard = points  # the list that NetworkManager keeps is empty now, with some radios
        except JoinFailed as failure:
            raise HotspotFailed(failure.code) from None
        except AccessRefused as error:
            log.warning("NetworkManager: %s", error)
            raise HotspotFailed(verdict.NOT_ALLOWED) from None
        except CallFailed as error:
            log.warning("NetworkManager: %s", error)
            raise HotspotFailed(verdict.NO_HOTSPOT) from None
        finally:
            if self._open is None:
                await finish(self._services.stop())

    async def stop(self) -> None:
        """Closes it, if it is open. Says in the log what could not be undone."""
        was, self._open = self._open, None
        if was is not None:
            await finish(self._close(was.profile))

    async def _close(self, profile: str) -> None:
        try:
            await self._remove(profile)
        finally:
            await self._services.stop()  # the door stays shut until the radio is closed

    async def sweep(self) -> None:
        """Takes away what an earlier life has left beside the profile, rules that would shut out a router."""
        if self._open is None:
            await self._services.stop()

    def lost(self) -> HotspotInfo | None:
        """Forgets a hotspot that NetworkManager has taken down, and returns what it was."""
        was = self._open
        if was is None or not self._service.present or self._is_up(was.profile):
            return None
        self._open = None
        return was.info

    async def wait_unfit(self, seconds: float) -> None:
        """Until phones cannot get in, or so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._unfit.wait()

    async def give_up(self) -> HotspotInfo | None:
        """Closes one that phones cannot get into, or that is not in the air, and returns what it was."""
        was, interface, unfit = self._open, self._radio.interface, self._unfit.is_set()
        self._unfit.clear()
        if was is None or interface is None or not self._is_up(was.profile):
            return None  # one that NetworkManager has taken down is `lost`
        there = await self._check.is_in_the_air(interface, was.info.ssid, self._channel or 0)
        if there and not unfit:
            return None
        await self.stop()
        return was.info

    def _came(self, inside: bool) -> None:
        """A phone got in, or went without. Steps down the ladder when too many did; `give_up` acts on it."""
        if self._open is None or self._unfit.is_set() or self._open.info.open:
            return
        if inside:
            self._ladder = self._ladder.client_came_in()
            return
        after = self._ladder.handshake_failed()
        if after is None:
            log.warning(
                "phones come and do not get in as %s; if it is the radio, ask for an open hotspot"
                " (network.hotspot_open, or hotspot = open in meteor.txt) or use a cable",
                self._ladder.rung.value,
            )
            self._ladder = replace(self._ladder, failed_handshakes=0)
            return
        if after.rung is not self._ladder.rung:
            log.warning("phones come and do not get in as %s", self._ladder.rung.value)
            self._unfit.set()
        self._ladder = after

    async def _climb_down(self, info: HotspotInfo, points: list[AccessPoint]) -> None:
        ladder = self._first_rung(info)
        channel = self._channel = self._channel or quietest_channel(points)
        while ladder is not None:
            if await self._try(info, ladder.rung, channel):
                if not info.open:
                    self._ladder = replace(ladder, open_allowed=self._ladder.open_allowed)
                return
            log.warning("the hotspot does not work as %s", ladder.rung.value)
            ladder = ladder.down()
        raise HotspotFailed(verdict.NO_HOTSPOT)

    def _first_rung(self, info: HotspotInfo) -> Ladder | None:
        """The one that worked before, or the last at once where a person chose it."""
        if info.open:
            return Ladder(Rung.OPEN, open_allowed=True)
        if self._ladder.rung is Rung.OPEN and not (info.may_be_open or self._ladder.open_allowed):
            return Ladder()
        return replace(self._ladder, open_allowed=self._ladder.open_allowed or info.may_be_open)

    async def _try(self, info: HotspotInfo, rung: Rung, channel: int) -> bool:
        """Whether it is open now; otherwise nothing is left of it."""
        device, interface = self._radio.device, self._radio.interface
        if device is None or interface is None:
            raise HotspotFailed(verdict.NO_RADIO)
        own = self._own = subnet(self._taken(), self._own)
        profile = await self._profiles.add(hotspot_profile(info, rung, channel, own, str(uuid.uuid4())))
        addresses = all_addresses(info, own)
        try:
            await self._services.guard(interface, addresses)
            works = await activate(self._service, profile, device, UP_S)
            works = works and await self._check.is_in_the_air(interface, info.ssid, channel)
            if works:
                await self._services.start(interface, addresses)
                self._open = _Open(replace(info, open=rung is Rung.OPEN), profile)
                self._unfit.clear()
        finally:
            if self._open is None:
                await finish(self._close(profile))
        if works:
            log.info("hotspot %s is open on channel %d as %s", info.ssid, channel, rung.value)
        return works

    def _state(self, profile: str) -> int | None:
        """NMActiveConnectionState of a profile; None when it is not active."""
        for _, active in self._service.mirror.of(names.ACTIVE):
            if active.get("Connection") == profile:
                return int(active.get("State", ActiveState.UNKNOWN))
        return None

    def _is_up(self, profile: str) -> bool:
        return self._state(profile) == ActiveState.ACTIVATED

    def _taken(self) -> list[str]:
        return [
            f"{each['address']}/{each['prefix']}"
            for _, config in self._service.mirror.of(names.IP4_CONFIG)
            for each in config.get("AddressData", [])
        ]

    async def _remove(self, profile: str) -> None:
        """Deleting the profile takes the hotspot down."""
        try:
            await self._profiles.drop(profile)
            await self._service.until(lambda: self._state(profile) is None, UP_S)
        except CallFailed as error:
            log.warning("the hotspot's profile is still there: %s", error)
