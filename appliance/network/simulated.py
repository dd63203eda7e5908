"""The simulated radio: a network port whose world is a scenario file; real are its files and connections.

It behaves as NetworkManager does where that matters: one radio, so the old link is down during an attempt;
a new network is stored only after it worked; a network that comes back is joined again by itself, unless the
set-up hotspot holds the radio.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp

from appliance.files import write_atomically
from appliance.network import verdict
from appliance.network.heard import networks
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
from appliance.network.recovery import reconnection_order
from appliance.network.scenario import (
    DEFAULT_SCENARIO,
    ScenarioRefused,
    World,
    read,
    world,
)
from appliance.network.simulated_attempt import check_before, check_on_air, fault_of
from appliance.network.simulated_connector import Gate, SimulatedConnector
from appliance.network.stored import StoredNetworks

log = logging.getLogger(__name__)

_BEFORE_START = -1.0


class SimulatedNetwork:
    """Implements `NetworkPort`. Use it from one event loop."""

    def __init__(
        self,
        state_dir: Path,
        scenario: Path | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        check_seconds: float = 1.0,
        address: str = "127.0.0.1",
    ) -> None:
        """`state_dir` must exist. Without `scenario` a default one is put there, ready to be edited.

        `check_seconds` is how often the scenario is looked at; `address` is the station's own.
        """
        self._scenario_path = scenario or state_dir / "scenario.toml"
        self._write_default = scenario is None
        self._stored = StoredNetworks(state_dir / "networks.json")
        self._monotonic = monotonic
        self._check_seconds = check_seconds
        self._address = address
        self._radio = asyncio.Lock()
        self._gate = Gate()
        self._link = Latest(NO_LINK)
        self._hotspot: HotspotInfo | None = None
        self._wanted: bytes | None = None
        self._associated: bytes | None = None
        self._seen: list[Network] | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises `ScenarioRefused` when the scenario cannot be played, `OSError` for the state folder."""
        if self._write_default and not self._scenario_path.exists():
            await asyncio.to_thread(write_atomically, self._scenario_path, DEFAULT_SCENARIO.encode())
        self._signature = self._sign()
        self._scenario = read(self._scenario_path)
        self._load_stored()
        self._started, self._read_at = self._monotonic(), _BEFORE_START
        self._world = self._world_now()
        self._refresh()
        self._watcher = asyncio.create_task(self._watch(), name="simulated-world")
        self._watcher.add_done_callback(_report_death)

    async def close(self) -> None:
        """Stops the simulation and cuts its connections."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
            self._watcher = None
        self._gate.shut()

    async def scan(self, rescan: bool = False) -> list[Network]:
        if rescan or self._seen is None:
            await asyncio.sleep(self._scenario.scan_seconds)
            self._seen = self._look_around()
        return list(self._seen)

    def _look_around(self) -> list[Network]:
        heard = [point for point in self._world.access_points if not point.hidden]
        return networks(heard, {credentials.ssid for credentials in self._stored.all()})

    async def join(self, credentials: Credentials) -> Link:
        async with self._radio:
            return await self._attempt(credentials, remember=True)

    async def _attempt(self, credentials: Credentials, *, remember: bool) -> Link:
        check_before(credentials, self._world)
        kept = self._associated
        self._associate(None)
        try:
            await asyncio.sleep(self._scenario.join_seconds)
            check_on_air(credentials, self._world)
            if remember:
                await _to_the_end(lambda: self._stored.remember(credentials))
                self._seen = None
            kept = self._wanted = credentials.ssid
        finally:
            self._associate(kept)
        return self._wifi_link()

    async def neighbours(self) -> list[str]:
        country = self._world.country
        return [country for _ in self._world.access_points] if country else []

    async def set_country(self, code: str) -> None:
        log.info("the simulated radio keeps the rules of %s", code)

    async def stored(self) -> list[bytes]:
        return [credentials.ssid for credentials in self._stored.all()]

    async def reconnect(self) -> Link:
        async with self._radio:
            if self.link().online:
                return self.link()
            failures = []
            for ssid in reconnection_order(self._wanted, await self.stored()):
                try:
                    return await self._again(ssid)
                except JoinFailed as failure:
                    log.info("stored network %r cannot be used: %s", ssid, failure.code)
                    failures.append(failure)
            raise JoinFailed(verdict.ALL_FAILED, causes=failures)

    async def _again(self, ssid: bytes) -> Link:
        credentials = self._stored.get(ssid)
        if credentials is None:
            raise JoinFailed(verdict.NOT_FOUND, ssid)
        link = await self._attempt(credentials, remember=False)
        log.info("connected to %r", ssid)
        return link

    async def forget_all(self) -> None:
        async with self._radio:
            await _to_the_end(self._stored.forget_all)
            self._wanted = None
            self._seen = None
            self._associate(None)

    def link(self) -> Link:
        return self._link.get()

    def changes(self) -> AsyncIterator[Link]:
        return self._link.changes()

    async def start_hotspot(self, info: HotspotInfo) -> None:
        if not self._world.radio:
            raise HotspotFailed(verdict.NO_RADIO)
        self._hotspot = info

    async def stop_hotspot(self) -> None:
        self._hotspot = None

    def hotspot(self) -> HotspotInfo | None:
        return self._hotspot

    def connector(self) -> aiohttp.BaseConnector:
        return SimulatedConnector(self._gate)

    # --- the world ------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._check_seconds)
            self._reread()
            now = self._world_now()
            if now != self._world:
                self._world = now
                self._refresh()
                await self._rejoin()

    def _world_now(self) -> World:
        return world(self._scenario, self._monotonic() - self._started, self._read_at)

    def _reread(self) -> None:
        signature = self._sign()
        if signature == self._signature:
            return
        self._signature = signature
        try:
            self._scenario = read(self._scenario_path)
        except ScenarioRefused as error:
            log.warning("%s The world stays as it was.", error)
            return
        self._read_at = self._monotonic() - self._started
        log.info("scenario read again from %s", self._scenario_path.name)

    def _sign(self) -> tuple[int, int, int] | None:
        try:
            status = self._scenario_path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    async def _rejoin(self) -> None:
        async with self._radio:
            if self._wanted is None or self._associated or self._hotspot:
                return
            if self._world.strongest(self._wanted) is None:
                return
            try:
                await self._again(self._wanted)
            except JoinFailed as failure:
                log.info("the network is back, but: %s", failure)

    def _load_stored(self) -> None:
        try:
            self._stored.load()
        except ValueError as error:
            log.error("%s It is set aside; choose the network again.", error)
            self._stored.set_aside()
        known = self._stored.all()
        self._wanted = known[0].ssid if known else None

    # --- the link -------------------------------------------------------------------------------------------

    def _associate(self, ssid: bytes | None) -> None:
        self._associated = ssid
        self._refresh()

    def _refresh(self) -> None:
        """Derives the link and the gate from the world and the association."""
        if self._associated is not None and self._world.strongest(self._associated) is None:
            log.info("network %r is out of reach", self._associated)
            self._associated = None
        if not self._world.radio:
            self._hotspot = None
        before, link = self._link.get(), self._derive_link()
        if (before.kind, before.ssid) != (link.kind, link.ssid):
            self._gate.cut()
        point = self._world.strongest(link.ssid) if link.ssid is not None else None
        self._gate.delay_s = point.delay_s if point else 0.0
        if link.online:
            self._gate.open = True
        else:
            self._gate.shut()
        self._link.set(link)

    def _derive_link(self) -> Link:
        if self._world.ethernet:
            mac = "02:00:00:00:00:01"
            return Link("ethernet", address=self._address, mac=mac, online=self._world.internet)
        return self._wifi_link()

    def _wifi_link(self) -> Link:
        point = self._world.strongest(self._associated) if self._associated is not None else None
        if point is None:
            return NO_LINK
        return Link(
            "wifi",
            point.ssid,
            None if point.fault == "no_dhcp" else self._address,
            "02:00:00:00:00:02",
            point.signal,
            # NetworkManager's scale read backwards: 0 is -100 dBm, 100 is -50 dBm.
            point.signal / 2 - 100,
            fault_of(point, self._world) is None,
        )


async def _to_the_end(write: Callable[[], None]) -> None:
    """Runs a write in a thread; a cancellation waits for it, so that no write overtakes a later one."""
    task = asyncio.create_task(asyncio.to_thread(write))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _report_death(watcher: asyncio.Task[None]) -> None:
    if not watcher.cancelled() and (error := watcher.exception()):
        log.critical("the simulated world stands still", exc_info=error)
