"""The one picture of the station: pages, command line and heartbeat are all drawn from it.

What changes slowly (depth of the buffer, facts about the host) is gathered by `run`; the rest is read when
a snapshot is made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from appliance import __version__, renewal_notices, sentences
from appliance.conductor import Conductor
from appliance.device import Device
from appliance.governor import Governor
from appliance.intakes import IntakeLog, IntakeStats
from appliance.logs import Tail
from appliance.media_folders import problem
from appliance.network.latest import Latest
from appliance.network.port import Link
from appliance.network.verdict import REFUSED, VERDICTS
from appliance.recognised import explained, reason
from appliance.sources.spool import Spool
from appliance.telemetry.collector import Collector
from appliance.telemetry.host import HostFacts, HostTelemetry
from appliance.updates.shown import shown_update
from appliance.uplink.time import CloudTime
from appliance.whereabouts import pages_url
from buffer.breaker import BreakerSnapshot, BreakerState
from buffer.drains import Drains
from buffer.errors import BufferClosed, StoreError
from buffer.listing import Depth
from buffer.store import Store
from portal import view
from portal.ssid import display
from portal.view import Notice, Sentence, Snapshot
from protocol.messages import CpuUsage, DiskUsage, MemoryUsage
from statemachine.lifecycle import State, Transition
from statemachine.phase import Tone, view_of
from statemachine.record import CONNECTED

log = logging.getLogger(__name__)

REFRESH_S = 2.0
SHOWN_SKEW_S = 2.0
DISK_LOW = 0.05

_NO_HOST = HostFacts(MemoryUsage(), CpuUsage(), DiskUsage(), 0.0)
_NO_DEPTH = Depth({}, 0, 0, 0, None, 0, 0, 0)

_TONES = {
    Tone.STOPPED: "failed",
    Tone.WORKING: "working",
    Tone.RUNNING: "running",
    Tone.WAITING: "waiting",
    Tone.UNKNOWN: "unknown",
}


@dataclass(frozen=True)
class Gathered:
    """What the last look at buffer and host gave."""

    depth: Depth
    host: HostFacts
    intake: IntakeStats


class StatusBoard:
    """Makes snapshots and tells who listens that there is a new one."""

    def __init__(
        self,
        device: Device,
        conductor: Conductor,
        store: Store,
        drain: Drains,
        governor: Governor,
        host: HostTelemetry,
        intakes: IntakeLog,
        spool: Spool,
        tail: Tail,
        updates: Path,
    ) -> None:
        self._device = device
        self._updates = updates
        self._conductor = conductor
        self._drain = drain
        self._governor = governor
        self._store = store
        self._host = host
        self._intakes = intakes
        self._spool = spool
        self._tail = tail
        self._host_facts_of = Collector("host telemetry", lambda: self._host.facts(), _NO_HOST)
        self._intake_of = Collector("spool telemetry", self._look_at_intake, IntakeStats())
        self._depth_of = Collector("buffer telemetry", self._look_at_buffer, _NO_DEPTH)
        self._news = Latest(0)
        self._trouble: StoreError | None = None
        self._base_path_problem: Sentence | None = None
        self._update = view.Update()
        self.gathered: Gathered | None = None

    # --- following ---------------------------------------------------------------------------------------

    async def gather(self) -> Gathered:
        """Looks at the buffer and the host now; what hangs is shown as it was before."""
        intake = await self._intake_of.facts()
        self.gathered = Gathered(await self._depth(), await self._host_facts_of.facts(), intake)
        self._update = await asyncio.to_thread(shown_update, self._updates)
        self._device.panel.degraded(self._degraded())
        return self.gathered

    @property
    def overruns(self) -> int:
        """How often gathering took too long since the program started."""
        return sum(each.overruns for each in self._collectors)

    @property
    def _collectors(self) -> tuple[Collector[Any], ...]:
        return self._host_facts_of, self._intake_of, self._depth_of

    async def _look_at_intake(self) -> IntakeStats:
        return await asyncio.to_thread(self._intakes.stats, self._spool.folder, self._spool.trouble)

    async def _look_at_buffer(self) -> Depth:
        """The depth. A disk that refused a write is asked again, because it may still read."""
        base_path = self._device.configuration.current.storage.base_path
        self._base_path_problem = await asyncio.to_thread(problem, base_path)
        if self._store.trouble is not None:
            await self._store.try_again()
        return await self._store.depth()

    async def _depth(self) -> Depth:
        """How full the buffer is; when the disk has a bad day, as far as was known before."""
        try:
            depth = await self._depth_of.facts()
        except BufferClosed:
            raise
        except StoreError as error:
            if self.gathered is None:
                raise
            if self._trouble is None:
                log.warning("the buffer cannot be read: %s", error)
            self._trouble = error
            return self.gathered.depth
        self._trouble = self._store.trouble
        return depth

    async def run(self) -> None:
        """Looks again and again until cancelled."""
        try:
            while True:
                await self.gather()
                self.announce()
                await asyncio.sleep(REFRESH_S)
        finally:
            for each in self._collectors:
                await each.close()

    def supplies(self) -> tuple[float | None, bool, float | None]:
        """Used share of the disk, whether the buffer cannot write to it, and the charge of a battery."""
        if self.gathered is None:
            return None, self._trouble is not None, None
        host = self.gathered.host
        used, free = host.disk.used, host.disk.free
        share = used / (used + free) if used is not None and free is not None and used + free else None
        return share, self._trouble is not None, host.battery

    def announce(self) -> None:
        """Wakes everyone in `changes`."""
        self._news.set(self._news.get() + 1)

    def follow(self, _step: Transition) -> None:
        """Observer of the conductor."""
        self.announce()

    async def changes(self) -> AsyncIterator[Snapshot]:
        """A snapshot at every change; in between nothing is sent."""
        last: Snapshot | None = None
        async for _ in self._news.changes():
            current = self.snapshot()
            if current != last:
                last = current
                yield current

    # --- the picture --------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The picture now."""
        device, state = self._device, self._conductor.state
        seen = view_of(state)
        opened, coded = device.network.hotspot(), device.code_for_hotspot() is not None
        return Snapshot(
            state=state.value,
            phase=seen.phase.value,
            progress=seen.progress,
            tone=_TONES[seen.tone],
            step=sentences.step(state, claimed=device.claimed),
            station_name=device.name,
            short_id=device.key.short_id,
            claimed=device.claimed,
            hotspot=opened is not None,
            hotspot_open=opened is not None and opened.open,
            code_needed=coded,
            country=device.country.code,
            country_by=device.country.said_by,
            country_guess=device.country.guess,
            network=_network(device.network.link(), device.settings.portal.port, device.local_name()),
            attempt=self._attempt(),
            card=None if device.claimed or device.fault or coded else self._card(),
            backlog=self._backlog(),
            breaker=_breaker(self._drain.progress().breaker),
            realtime=device.realtime.condition,
            files=_breaker(self._drain.files().breaker),
            uploads=self._uploads(),
            clock=_clock(device.time),
            led=self._led(),
            recording=self._recording(),
            duty=self._duty(),
            host=self._host_facts(),
            warnings=tuple(self._warnings()),
            log=tuple(self._tail.lines),
            version=__version__,
            key_storage="" if device.fault else device.key.storage,
            update=self._update,
        )

    def _attempt(self) -> view.Attempt | None:
        kept = self._device.journal.record.network_attempt
        if kept is None or kept.result is None:
            return None
        when = datetime.fromtimestamp(kept.at, UTC)
        if kept.result == CONNECTED:
            return view.Attempt(kept.ssid, True, "", view.NOTHING, view.NOTHING, when)
        verdict = VERDICTS.get(kept.result, VERDICTS[REFUSED])  # a newer program may know more codes
        fields = {"ssid": display(kept.ssid)}
        return view.Attempt(
            kept.ssid, False, verdict.code, Sentence(verdict.sentence, fields), Sentence(verdict.action), when
        )

    def _card(self) -> view.ClaimCard | None:
        card, url = self._device.card.known, self._device.client.url
        if card is None:
            return None
        return view.ClaimCard(
            card.short_id, card.pin, card.link(url), f"{url.removeprefix('https://')}/claim"
        )

    def _backlog(self) -> view.Backlog:
        if self.gathered is None:
            return view.Backlog()
        depth = self.gathered.depth
        waiting = tuple(
            view.Waiting(
                priority.name.lower(),
                level.count,
                level.bytes,
                None if level.oldest_age is None else round(level.oldest_age),
            )
            for priority, level in sorted(depth.levels.items())
        )
        return view.Backlog(waiting, depth.dead)

    def _uploads(self) -> view.Uploads:
        if self.gathered is None:
            return view.Uploads()
        return view.Uploads(self.gathered.depth.delivered, self.gathered.depth.last_delivered_at)

    def _led(self) -> view.Led:
        pattern = self._device.panel.pattern
        return view.Led(pattern.name, pattern.colour.value, pattern.shape.value, Sentence(pattern.spoken))

    def _recording(self) -> view.Recording:
        if self.gathered is None:
            return view.Recording()
        stats = self.gathered.intake
        active = None if stats.last is None else True
        return view.Recording(active, stats.last, stats.accepted, picture=stats.picture is not None)

    def _duty(self) -> view.Duty:
        """An unclaimed station sends nothing at all, so no level says anything about it."""
        if not self._device.claimed:
            return view.Duty()
        level = self._governor.judgement.level
        meaning = sentences.LEVELS[level][1] if level in sentences.LEVELS else sentences.EVERYTHING
        return view.Duty(int(level), Sentence(meaning))

    def _host_facts(self) -> view.Host:
        if self.gathered is None:
            return view.Host()
        facts = self.gathered.host
        return view.Host(
            disk_free=facts.disk.free,
            disk_total=facts.disk.total,
            memory_used=facts.memory.used,
            memory_total=facts.memory.total,
            cpu_percent=facts.cpu_percent,
            temperature=facts.cpu.temperature,
            uptime=round(facts.uptime),
        )

    # --- what a person should know ------------------------------------------------------------------------

    def _degraded(self) -> bool:
        return self._drain.progress().breaker.state is BreakerState.OPEN or self._disk_low()

    def _disk_low(self) -> bool:
        if self.gathered is None:
            return False
        disk = self.gathered.host.disk
        return bool(disk.total and disk.free is not None and disk.free < disk.total * DISK_LOW)

    def _warnings(self) -> list[Notice]:
        device, notices = self._device, list[Notice]()
        error = device.journal.record.last_error
        if device.fault is not None:
            notices.append(Notice(device.fault.code, *explained(device.fault.code, device.fault.text)))
        elif error is not None and self._conductor.state is not State.OPERATIONAL:
            again = error.code == "REG-005" or error.code.startswith("NET-")
            sentence, action = explained(error.code, error.text)
            if again:
                action = action or Sentence(sentences.LAST_ERROR_ACTION)
            notices.append(Notice(error.code, sentence, action))
        if device.heartbeat.last_failure and device.claimed:
            why = reason(device.heartbeat.last_failure)
            notices.append(Notice("HB-001", Sentence(sentences.HEARTBEAT_FAILS, {"reason": why})))
        notices += device.boot.notices
        notices += device.country.notices()
        notices += self._network_notices()
        notices += renewal_notices.notices(device.renewal)
        notices += self._clock_notices() + self._storage_notices() + self._uplink_notices()
        if device.configuration.error:
            fields = {"reason": device.configuration.error}
            action = Sentence(sentences.CONFIG_ACTION)
            notices.append(Notice("REG-007", Sentence(sentences.CONFIG_REFUSED, fields), action))
        return notices

    def _uplink_notices(self) -> list[Notice]:
        """Less than everything, and another address than the first."""
        notices, judged = list[Notice](), self._governor.judgement
        if self._device.claimed and judged.level in sentences.LEVELS:
            code, text, action = sentences.LEVELS[judged.level]
            notices.append(Notice(code, Sentence(text), Sentence(action)))
        if self._device.claimed and not self._device.configuration.current.storage.backup_to_cloud:
            stay = Sentence(sentences.MEDIA_STAY)
            notices.append(Notice("UPL-011", stay, Sentence(sentences.MEDIA_STAY_ACTION)))
        endpoints = self._device.client.endpoints
        if endpoints.current != endpoints.primary:
            sentence = Sentence(sentences.BACKUP, {"address": endpoints.current})
            notices.append(Notice("UPL-010", sentence, Sentence(sentences.LAST_ERROR_ACTION)))
        return notices

    def _network_notices(self) -> list[Notice]:
        link = self._device.network.link()
        if not link.borrowed or link.ssid is None:
            return []
        sentence = Sentence(sentences.BORROWED, {"ssid": display(link.ssid)})
        return [Notice("NET-018", sentence, Sentence(sentences.BORROWED_ACTION))]

    def _clock_notices(self) -> list[Notice]:
        skew = self._device.time.skew()
        if skew is None or abs(skew) - self._device.time.skew_error() < SHOWN_SKEW_S:
            return []  # a slow answer says little about the time
        sentence = Sentence(sentences.CLOCK_WRONG, {"seconds": f"{skew:+.0f}"})
        return [Notice("TIME-001", sentence, Sentence(sentences.CLOCK_ACTION))]

    def _storage_notices(self) -> list[Notice]:
        notices = []
        if self._trouble is not None:
            trouble = self._trouble
            sentence, action = explained(trouble.code, trouble.sentence)
            notices.append(Notice(trouble.code, sentence, action or Sentence(trouble.action)))
        if self._disk_low() or self._store.disk_full:
            notices.append(Notice("BUF-003", Sentence(sentences.DISK_LOW), Sentence(sentences.DISK_ACTION)))
        if self._base_path_problem is not None:
            sentence = Sentence(sentences.BASE_PATH, {"reason": self._base_path_problem})
            notices.append(Notice("BUF-016", sentence, Sentence(sentences.BASE_PATH_ACTION)))
        for incident in self._store.incidents[-1:]:
            sentence = Sentence(sentences.DAMAGED, {"count": str(incident.recovered)})
            notices.append(Notice("BUF-006", sentence, Sentence(sentences.DAMAGED_ACTION)))
        if self.gathered is not None and self.gathered.depth.dead:
            sentence = Sentence(sentences.DEAD, {"count": str(self.gathered.depth.dead)})
            notices.append(Notice("BUF-020", sentence, Sentence(sentences.DEAD_ACTION)))
        if self.gathered is not None and self.gathered.intake.rejected:
            sentence = Sentence(sentences.REJECTED, {"count": str(self.gathered.intake.rejected)})
            notices.append(Notice("SRC-020", sentence, Sentence(sentences.REJECTED_ACTION)))
        return notices


def _network(link: Link, port: int, local_name: str) -> view.NetworkInfo:
    return view.NetworkInfo(
        ssid_display=display(link.ssid) if link.ssid else "",
        connected=link.kind != "none",
        online=link.online,
        kind=link.kind,
        signal=link.signal,
        address=link.address or "",
        pages=pages_url(link.address, port),
        local_name=pages_url(local_name, port),
    )


def _breaker(breaker: BreakerSnapshot) -> view.Breaker:
    calm = breaker.state is not BreakerState.OPEN and not breaker.failures_in_row and not breaker.held
    return view.Breaker(
        state=breaker.state.value.replace("-", "_"),
        reason=reason(breaker.last_reason) if breaker.last_reason and not calm else view.NOTHING,
        retry_in=None if calm else round(breaker.retry_in),
    )


def _clock(time: CloudTime) -> view.Clock:
    skew = time.skew()
    return view.Clock(
        time=time.moment().replace(microsecond=0),
        synchronized=time.system.quality().synchronized,
        source=time.source(),
        offset_ms=None if skew is None else round(skew * 1000),
    )
