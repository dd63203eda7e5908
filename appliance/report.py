"""What the station tells the cloud of its condition with every heartbeat. Its hardware is in `about`."""

from __future__ import annotations

import logging

import msgspec

from appliance import __version__
from appliance.conductor import Conductor
from appliance.device import Device
from appliance.files import to_the_end
from appliance.governor import Governor
from appliance.identity.credentials import Credentials
from appliance.network.port import Link
from appliance.network.quality import Measurement
from appliance.ownership import forget_owner
from appliance.status import StatusBoard
from appliance.telemetry.application import Application
from buffer.drain import Progress
from buffer.drains import Drains
from buffer.listing import Depth, Level
from buffer.message import Priority
from protocol.clock import to_text
from protocol.messages import (
    Backlog,
    BufferState,
    ConfigUpdates,
    CpuUsage,
    Degradation,
    HeartbeatAnswer,
    HeartbeatRequest,
    MemoryUsage,
    Metrics,
    NetworkQuality,
)
from statemachine.lifecycle import Trigger

log = logging.getLogger(__name__)


class Condition:
    """Implements what the heartbeat needs of the device. `attach` comes before the first heartbeat."""

    _device: Device
    _board: StatusBoard
    _conductor: Conductor
    _drain: Drains
    _governor: Governor

    def __init__(self, application: Application) -> None:
        self._application = application
        self._sequence = 0
        self._warnings: list[str] = []
        self._hardware_told = False
        self._offered = 0
        self._offered_at = float("-inf")
        self._delivered = 0

    def attach(
        self,
        device: Device,
        board: StatusBoard,
        conductor: Conductor,
        drain: Drains,
        governor: Governor,
    ) -> None:
        """The device holds the heartbeat and the heartbeat describes the device: one of them comes second."""
        self._device, self._board, self._conductor, self._drain = device, board, conductor, drain
        self._governor = governor

    def credentials(self) -> Credentials | None:
        """None while the station is unclaimed."""
        return self._device.credentials.current

    async def describe(self) -> HeartbeatRequest:
        """The station's condition now; what is not known is null."""
        device, gathered = self._device, await self._board.gather()
        host, link = gathered.host, device.network.link()
        self._sequence += 1
        counts = self._application.counts()
        judged, full = self._governor.judgement, self._governor.duties.full_telemetry
        return HeartbeatRequest(
            uptime=host.uptime,
            boot_id=device.hardware.boot_id,
            seq=self._sequence,
            state=self._conductor.state.value,
            memory_usage=host.memory if full else MemoryUsage(),
            cpu_usage=host.cpu if full else CpuUsage(),
            disk_usage=host.disk,
            network_quality=_quality(link, device.client.meter.measurement()),
            error_count=msgspec.structs.replace(counts.errors, collector_overruns=self._board.overruns),
            metrics=Metrics(
                events_detected_today=counts.detected_today,
                events_uploaded_today=counts.uploaded_today,
                storage_usage_mb=round(gathered.depth.bytes / 1e6, 3),
            ),
            buffer=_buffer(
                gathered.depth,
                self._drain.progress(),
                self._drain.files(),
                self._moved(gathered.depth.delivered),
            ),
            degradation=Degradation(level=int(judged.level), reason=judged.reason),
            network_info=device.network_info(),
            device_info=None if self._hardware_told else device.hardware.info,
            clock=device.time.report(),
            config_version=device.configuration.version,
            config_error=device.configuration.error,
            firmware_version=__version__,
            certificate_alert=device.renewal.alert,
        )

    def _moved(self, delivered: int) -> bool:
        """Whether anything got through since the heartbeat before."""
        before, self._delivered = self._delivered, delivered
        return delivered > before

    async def renamed(self, name: str) -> None:
        """The owner's name for the station is kept with the credentials."""
        device = self._device
        current = device.credentials.current
        if current is not None and current.name != name:
            await to_the_end(device.credentials.rename, name)
            log.info("the owner named this station %s", name)

    def configured(self, update: ConfigUpdates) -> None:
        """Leaves the envelope for the state that applies it."""
        device = self._device
        if update.version <= device.configuration.version or update.version == self._offered:
            return  # one that was refused is repeated with every heartbeat, until its owner corrects it
        now = device.time.system.monotonic()
        every = self._governor.duties.config_every
        if every is not None and now - self._offered_at < every:
            return  # it is repeated with every heartbeat, and taken when its hour comes
        self._offered, self._offered_at = update.version, now
        device.envelope = update.signature
        self._conductor.request(Trigger.UPDATE_RECEIVED)

    async def released(self) -> None:
        """The station belongs to nobody from here on, and shows its card."""
        await forget_owner(self._device)
        self._conductor.request(Trigger.RELEASED)

    def advised(self, answer: HeartbeatAnswer) -> None:
        """Warnings of the cloud are logged when they appear; how it spreads its stations is obeyed."""
        self._hardware_told = True
        if answer.backlog_spread is not None:
            self._drain.spread_over(answer.backlog_spread)
        for warning in answer.warnings:
            if warning not in self._warnings:
                log.warning("the cloud says: %s", warning)
        self._warnings = answer.warnings


def _quality(link: Link, seen: Measurement | None) -> NetworkQuality:
    if seen is None:
        return NetworkQuality(signal_strength=link.signal_dbm)
    return NetworkQuality(
        signal_strength=link.signal_dbm,
        latency=seen.latency_ms,
        throughput=seen.bandwidth_mbps,
        packet_loss=seen.loss,
    )


def _buffer(depth: Depth, progress: Progress, files: Progress, moved: bool) -> BufferState:
    breaker = progress.breaker
    last = depth.last_delivered_at
    return BufferState(
        **{priority.name.lower(): _backlog(depth.levels.get(priority)) for priority in Priority},
        dead=depth.dead,
        evicted=depth.evicted,
        expired=depth.expired,
        breaker=breaker.state.value,
        last_upload=to_text(last) if last else None,
        files_breaker=files.breaker.state.value,
        uploading=moved or progress.in_flight + files.in_flight > 0,
        delivered=depth.delivered,
        openings=breaker.openings,
        probes=breaker.probes,
    )


def _backlog(level: Level | None) -> Backlog:
    if level is None:
        return Backlog()
    return Backlog(count=level.count, bytes=level.bytes, oldest_s=level.oldest_age)
