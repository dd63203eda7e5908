"""Joins networks with NetworkManager: tries, keeps what works, and otherwise puts back what was."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from appliance.network import verdict
from appliance.network.internet import is_online
from appliance.network.networkmanager import names
from appliance.network.networkmanager.activation import activate
from appliance.network.networkmanager.air import AccessPoint, named
from appliance.network.networkmanager.attempt import attempt
from appliance.network.networkmanager.bus import AccessRefused, CallFailed, ServiceGone
from appliance.network.networkmanager.checkpoint import Checkpoint
from appliance.network.networkmanager.finishing import finish
from appliance.network.networkmanager.profiles import (
    KeyManagement,
    StoredProfile,
    next_priority,
    station_profile,
    ways_in,
)
from appliance.network.networkmanager.radio import Radio
from appliance.network.networkmanager.service import Service
from appliance.network.networkmanager.stored import Profiles
from appliance.network.networkmanager.watch import LinkWatch
from appliance.network.networkmanager.ways import Way, way_on
from appliance.network.passphrase import can_be_sent, can_be_wpa2
from appliance.network.port import Credentials, JoinFailed, Security

log = logging.getLogger(__name__)

DIAL_S = 90.0
INTERNET_TRIES = 3
INTERNET_PAUSE_S = 2.0
"""Routes and names take a moment after an address came."""

_AGAIN = {verdict.WRONG_PASSWORD, verdict.REFUSED, verdict.UNSUPPORTED, verdict.NOT_FOUND}
"""With these another way in may do better, if the network is there at all."""
_INVALID = (".IncompatibleConnection", ".InvalidConnection")
"""The device and the settings each have an error of these names: a profile that cannot be."""


@dataclass(frozen=True, slots=True)
class _Trial:
    """A profile in memory that has led to the internet."""

    path: str
    uuid: str
    way: KeyManagement
    found: Way


class Joiner:
    """One at a time; its caller sees to that."""

    def __init__(self, service: Service, radio: Radio, profiles: Profiles, watch: LinkWatch) -> None:
        self._service = service
        self._radio = radio
        self._profiles = profiles
        self._watch = watch

    async def join(self, credentials: Credentials, *, sae: bool = True) -> None:
        """Raises `JoinFailed`; then, and when cancelled, the network of before is back. `sae` is whether the
        radio can do WPA3."""
        check_before(credentials)
        with speaking_of(credentials.ssid):
            await self._radio.wake(credentials.ssid)
            points = await self._look_for(credentials)
            _check_on_air(credentials, points)
            if not sae:
                refuse_wpa3(credentials, points)
            with self._watch.busy():
                await self._try_and_keep(credentials, ways_in(credentials, points, sae=sae))

    async def again(self, stored: StoredProfile) -> None:
        """Activates a stored profile. Raises `JoinFailed`."""
        with speaking_of(stored.ssid), self._watch.busy():
            await self._radio.wake(stored.ssid)
            await attempt(self._service, self._radio, stored.ssid, stored.way, stored.path)
            self._watch.prove(await self._check_internet(stored.ssid, stored.uuid))

    async def borrow(self, ssid: bytes) -> None:
        """Uses a stranger's open network; its profile is never stored. Raises `JoinFailed`."""
        credentials = Credentials(ssid, None, Security.OPEN, hidden=False)
        with speaking_of(ssid), self._watch.busy():
            trial = await self._try_one(
                credentials, ways_in(credentials, named(self._radio.points(), ssid))[0]
            )
            self._watch.prove(trial.found)

    async def dial(self, modem: StoredProfile) -> None:
        """Activates the profile of a modem, on whatever device fits. Raises `JoinFailed`."""
        with speaking_of(None), self._watch.busy():
            if not await activate(self._service, modem.path, names.NOTHING, DIAL_S):
                raise JoinFailed(verdict.NO_ADDRESS)

    async def _look_for(self, credentials: Credentials) -> list[AccessPoint]:
        """The network's transmitters; scans when it was not heard of yet."""
        points = named(self._radio.points(), credentials.ssid)
        if not points:
            await self._radio.rescan(credentials.ssid if credentials.hidden else None)
            points = named(self._radio.points(), credentials.ssid)
        return points

    async def _try_and_keep(self, credentials: Credentials, ways: list[KeyManagement]) -> None:
        checkpoint = await Checkpoint.create(self._service, self._radio.required(credentials.ssid))
        try:
            trial = await self._try(credentials, ways)
        except BaseException:
            await finish(_undo(checkpoint))
            raise
        # From here there is no way back: a cancellation finds a network that was joined.
        await finish(self._keep(credentials, trial, checkpoint))

    async def _try(self, credentials: Credentials, ways: list[KeyManagement]) -> _Trial:
        for number, way in enumerate(ways, 1):
            try:
                return await self._try_one(credentials, way)
            except JoinFailed as failure:
                in_the_air = bool(named(self._radio.points(), credentials.ssid))
                if number == len(ways) or failure.code not in _AGAIN or not in_the_air:
                    raise
                log.info("%s with %s; trying the other way in", failure.code, way.name)
        raise JoinFailed(verdict.UNSUPPORTED, credentials.ssid)

    async def _try_one(self, credentials: Credentials, way: KeyManagement) -> _Trial:
        name = str(uuid.uuid4())
        path = await self._profiles.add(station_profile(credentials, way, name, priority=None))
        try:
            await attempt(self._service, self._radio, credentials.ssid, way, path)
            return _Trial(path, name, way, await self._check_internet(credentials.ssid, name))
        except BaseException:
            await finish(self._drop(path))
            raise

    async def _keep(self, credentials: Credentials, trial: _Trial, checkpoint: Checkpoint) -> None:
        """Stores the new profile first, and only then removes what was stored of the same network."""
        try:
            known = await self._profiles.networks()
            priority = next_priority(known)
            kept = station_profile(credentials, trial.way, trial.uuid, priority=priority)
            await self._profiles.keep(trial.path, kept)
            await checkpoint.keep()
        except CallFailed:
            await self._drop(trial.path)
            await _undo(checkpoint)
            raise
        self._watch.prove(trial.found)
        older = [each for each in known if each.ssid == credentials.ssid and each.uuid != trial.uuid]
        try:
            await self._profiles.delete(*older)
        except CallFailed as error:
            log.warning("an older profile of the same network is still there: %s", error)

    async def _drop(self, path: str) -> None:
        try:
            await self._profiles.drop(path)
        except CallFailed as error:
            log.warning("the profile of a failed attempt is still there: %s", error)

    async def _check_internet(self, ssid: bytes, profile: str) -> Way:
        """The way of the profile with this UUID, which leads to the internet; what another network on the
        same radio leads to does not count. Raises `JoinFailed` with what is wrong behind the router."""
        code: str | None = verdict.NOT_FOUND
        generation = self._service.generation
        for number in range(INTERNET_TRIES):
            if number:
                await asyncio.sleep(INTERNET_PAUSE_S)
            if (way := self._way_of(profile)) is None:
                continue
            code = await self._watch.code(way)
            if self._way_of(profile) is None:
                code = verdict.NOT_FOUND
            elif is_online(code):
                return way
        if not self._service.present or self._service.generation != generation:
            code = verdict.BROKEN_OFF
        raise JoinFailed(code or verdict.NOT_FOUND, ssid)

    def _way_of(self, profile: str) -> Way | None:
        way = way_on(self._service.mirror, self._radio.interface)
        return way if way is not None and way.uuid == profile else None


def check_before(credentials: Credentials) -> None:
    """What can be known without touching the radio. Raises `JoinFailed`."""
    passphrase = credentials.passphrase or ""
    if credentials.security is Security.WEP:
        raise JoinFailed(verdict.UNSUPPORTED, credentials.ssid)
    if credentials.security is Security.ENTERPRISE and credentials.enterprise is None:
        raise JoinFailed(verdict.UNSUPPORTED, credentials.ssid)
    if not 1 <= len(credentials.ssid) <= 32:
        raise JoinFailed(verdict.NOT_FOUND, credentials.ssid)
    if credentials.security is not Security.OPEN and not can_be_sent(passphrase):
        raise JoinFailed(verdict.IMPOSSIBLE_PASSWORD, credentials.ssid)
    if credentials.security is Security.WPA2 and not can_be_wpa2(passphrase):
        raise JoinFailed(verdict.IMPOSSIBLE_PASSWORD, credentials.ssid)


def refuse_wpa3(credentials: Credentials, points: list[AccessPoint]) -> None:
    """For a radio that cannot do it. Raises `JoinFailed` for a network that asks for nothing else."""
    if credentials.security in (Security.OPEN, Security.ENTERPRISE):
        return
    protected = [p for p in named(points, credentials.ssid) if p.security is not Security.OPEN]
    only = all(p.security is Security.WPA3 for p in protected)
    if only and (protected or credentials.security is Security.WPA3):
        raise JoinFailed(verdict.NO_WPA3, credentials.ssid)


def _check_on_air(credentials: Credentials, points: list[AccessPoint]) -> None:
    """What the beacons say already. Raises `JoinFailed`."""
    offered = {point.security for point in points}
    if not offered:
        return
    if offered <= {Security.WEP}:
        raise JoinFailed(verdict.UNSUPPORTED, credentials.ssid)
    if offered <= {Security.ENTERPRISE} and credentials.security is not Security.ENTERPRISE:
        raise JoinFailed(verdict.UNSUPPORTED, credentials.ssid)
    if Security.OPEN not in offered and credentials.security is Security.OPEN:
        raise JoinFailed(verdict.WRONG_PASSWORD, credentials.ssid)
    if offered <= {Security.OPEN} and credentials.security is not Security.OPEN:
        # An open twin of a protected network must never be taken for it.
        raise JoinFailed(verdict.NOT_FOUND, credentials.ssid)


@contextmanager
def speaking_of(ssid: bytes | None) -> Iterator[None]:
    """Turns an error of the bus into the verdict that a person reads."""
    try:
        yield
    except CallFailed as error:
        log.warning("NetworkManager: %s", error)
        raise JoinFailed(code_of_call(error), ssid) from None


def code_of_call(error: CallFailed) -> str:
    """The verdict's code of a call that NetworkManager did not carry out."""
    if isinstance(error, AccessRefused):
        return verdict.NOT_ALLOWED
    if isinstance(error, ServiceGone):
        return verdict.BROKEN_OFF
    invalid = error.name.startswith(names.CONNECTION) or error.name.endswith(_INVALID)
    return verdict.UNSUPPORTED if invalid else verdict.BROKEN_OFF


async def _undo(checkpoint: Checkpoint) -> None:
    try:
        await checkpoint.undo()
    except CallFailed as error:
        log.warning("the network of before could not be asked back: %s", error)
