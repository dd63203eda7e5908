"""The doctor of a running station: fills in the patient from its parts, and examines once for all who ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

from appliance.conductor import Conductor
from appliance.device import Device
from appliance.doctor.patient import BufferFacts, ClockFacts, Patient
from appliance.doctor.stopped import look_at_board, read_buffer
from appliance.network.host import HostNetwork
from appliance.network.port import NetworkPort
from appliance.network.simulated import SimulatedNetwork
from appliance.paths import Paths
from appliance.status import Gathered, StatusBoard
from appliance.uplink.client import trust
from appliance.uplink.time import CloudTime
from buffer.drains import Drains
from buffer.errors import StoreError
from buffer.store import Store
from portal.view import Finding, Notice
from statemachine.lifecycle import State

READ_S = 5.0

_OF_THE_DISK = ("BUF-000", "BUF-002", "BUF-005", "BUF-011", "BUF-015")
"""Codes of the buffer that say that the disk, or who holds it, refuses."""


class Doctor:
    """One for the life of the program. Whoever asks while an examination goes on gets that one's findings."""

    def __init__(self, look: Callable[[], Awaitable[Patient]]) -> None:
        self._look = look
        self._visit: asyncio.Task[list[Finding]] | None = None

    async def diagnose(self) -> Sequence[Finding]:
        """All findings now. Takes up to half a minute."""
        if self._visit is None or self._visit.done():
            self._visit = asyncio.create_task(self._examine(), name="doctor")
        return await asyncio.shield(self._visit)

    async def _examine(self) -> list[Finding]:
        from appliance.doctor.examine import examine  # here because most stations are never ill

        return await examine(await self._look())


class Looker:
    """What the doctor may know of the running station."""

    def __init__(
        self, device: Device, conductor: Conductor, board: StatusBoard, drains: Drains, store: Store
    ) -> None:
        self._device = device
        self._conductor = conductor
        self._board = board
        self._drains = drains
        self._store = store
        self._threads = ThreadPoolExecutor(2, "doctor")

    async def look(self) -> Patient:
        """The station at this moment. Asks nobody outside, and raises nothing that the disk may cause."""
        device, state, gathered = self._device, self._conductor.state, await self._gathered()
        settings, notices = device.settings, self._board.snapshot().warnings
        intake = gathered.intake if gathered else None
        tried = device.journal.record.network_attempt
        return Patient(
            settings=settings,
            clock=clock_of(device.time),
            board=await asyncio.to_thread(look_at_board),
            host=gathered.host if gathered else None,
            cloud_url=device.client.endpoints.current,
            tls=partial(trust, settings.cloud.ca_certificate, device.client.endpoints.current),
            state=state.value,
            claimed=device.claimed,
            waiting=state in (State.SETUP, State.CONFIGURING),
            backend=_backend(device.network),
            link=device.network.link(),
            hotspot=device.network.hotspot() is not None,
            known=len(await device.network.stored()),
            attempt=tried,
            measurement=device.client.meter.measurement(),
            intake=intake,
            disk_full=self._store.disk_full,
            buffer=None if gathered is None else await self._buffer(gathered),
            buffer_trouble=_trouble(notices),
            notices=notices,
            threads=self._threads,
        )

    async def _gathered(self) -> Gathered | None:
        try:
            return await self._board.gather()
        except StoreError:
            return self._board.gathered

    async def _buffer(self, gathered: Gathered) -> BufferFacts:
        events, files = self._drains.progress().breaker, self._drains.files().breaker
        reasons = await self._reasons() if gathered.depth.dead else {}
        return BufferFacts(gathered.depth, reasons, events, files)

    async def _reasons(self) -> Mapping[str, int]:
        """Why messages were set aside, from the file; nothing when the disk does not answer in time."""
        paths, loop = Paths(self._device.settings.data_dir), asyncio.get_running_loop()
        try:
            async with asyncio.timeout(READ_S):
                facts, _ = await loop.run_in_executor(self._threads, read_buffer, paths)
        except TimeoutError:
            return {}
        return facts.dead if facts else {}


def clock_of(time: CloudTime) -> ClockFacts:
    """The system's time, which secure connections are checked against, and what is known about it."""
    return ClockFacts(
        datetime.fromtimestamp(time.system.wall(), UTC),
        time.system.quality().synchronized,
        time.source(),
        time.skew(),
        time.skew_error(),
    )


def _backend(network: NetworkPort) -> str:
    if isinstance(network, SimulatedNetwork):
        return "simulated"
    return "host" if isinstance(network, HostNetwork) else "networkmanager"


def _trouble(notices: Sequence[Notice]) -> Notice | None:
    return next((each for each in notices if each.code in _OF_THE_DISK), None)
