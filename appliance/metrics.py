"""The station's figures for whoever collects them: buffer, uplink, connection, clock and host."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from appliance import __version__
from appliance.conductor import Conductor
from appliance.device import Device
from appliance.governor import Governor
from appliance.network.quality import Measurement
from appliance.status import Gathered, StatusBoard
from appliance.telemetry.openmetrics import Family, Sample, exposition
from appliance.uplink.realtime import Counts
from buffer.breaker import BreakerState
from buffer.degradation import Judgement
from buffer.drain import Progress
from buffer.drains import Drains
from buffer.listing import Depth
from statemachine.lifecycle import State


@dataclass(frozen=True, slots=True)
class Facts:
    """What the figures are made of. `lanes` by name; `skew` in seconds, None while unknown."""

    state: State
    gathered: Gathered | None
    lanes: dict[str, Progress]
    judged: Judgement
    connection: Measurement | None
    synchronized: bool
    skew: float | None
    live: bool = False
    live_counts: Counts = field(default_factory=Counts)


def figures(
    device: Device, conductor: Conductor, board: StatusBoard, drains: Drains, governor: Governor
) -> str:
    """All of it now, in the OpenMetrics text format."""
    facts = Facts(
        state=conductor.state,
        gathered=board.gathered,
        lanes={"events": drains.progress(), "files": drains.files()},
        judged=governor.judgement,
        connection=device.client.meter.measurement(),
        synchronized=device.time.system.quality().synchronized,
        skew=device.time.skew(),
        live=device.realtime.condition == "connected",
        live_counts=device.realtime.counts,
    )
    return exposition(families(facts))


def families(facts: Facts) -> Iterator[Family]:
    """Every metric; what is not known yet has no sample."""
    yield Family("meteor_station", "info", "The program.", [Sample(1, {"version": __version__})])
    yield Family(
        "meteor_state",
        "gauge",
        "1 for the state that the station is in.",
        [Sample(int(state is facts.state), {"state": state.value}) for state in State],
    )
    yield Family(
        "meteor_degradation_level",
        "gauge",
        "1 everything, 2 bundled, 3 local only, 4 raw data only.",
        [Sample(int(facts.judged.level))],
    )
    if facts.gathered is not None:
        yield from _buffer(facts.gathered.depth)
        yield from _host(facts.gathered)
    yield from _lanes(facts.lanes)
    yield from _connection(facts.connection)
    yield from _live(facts.live, facts.live_counts)
    yield Family(
        "meteor_clock_synchronized",
        "gauge",
        "1 while the clock is synchronised.",
        [Sample(int(facts.synchronized))],
    )
    yield Family(
        "meteor_clock_offset_seconds",
        "gauge",
        "How far the clock is from the cloud's.",
        [Sample(facts.skew)],
        unit="seconds",
    )


def _buffer(depth: Depth) -> Iterator[Family]:
    levels = [
        ({"priority": priority.name.lower()}, level) for priority, level in sorted(depth.levels.items())
    ]
    yield Family(
        "meteor_buffer_waiting_messages",
        "gauge",
        "Messages that wait.",
        [Sample(level.count, labels) for labels, level in levels],
        unit="messages",
    )
    yield Family(
        "meteor_buffer_waiting_bytes",
        "gauge",
        "Payload that waits.",
        [Sample(level.bytes, labels) for labels, level in levels],
        unit="bytes",
    )
    yield Family(
        "meteor_buffer_oldest_seconds",
        "gauge",
        "Powered-on time that the oldest has waited.",
        [Sample(level.oldest_age, labels) for labels, level in levels],
        unit="seconds",
    )
    yield Family(
        "meteor_buffer_dead_messages",
        "gauge",
        "Messages set aside for good.",
        [Sample(depth.dead)],
        unit="messages",
    )
    fates = ("delivered", "evicted", "expired", "superseded", "dropped", "dead_dropped", "salvaged", "lost")
    yield Family(
        "meteor_buffer_left_messages",
        "counter",
        "Messages that left the buffer, by what became of them.",
        [Sample(getattr(depth, fate), {"fate": fate}) for fate in fates],
        unit="messages",
    )
    yield Family(
        "meteor_buffer_quarantined",
        "counter",
        "Damaged files that were moved aside.",
        [Sample(depth.quarantined)],
    )


def _lanes(lanes: dict[str, Progress]) -> Iterator[Family]:
    def each(name: str, kind: str, text: str, value: str, unit: str = "") -> Family:
        samples = [Sample(_pick(progress, value), {"lane": lane}) for lane, progress in lanes.items()]
        return Family(name, "counter" if kind == "counter" else "gauge", text, samples, unit)

    yield Family(
        "meteor_breaker_state",
        "gauge",
        "1 for the state of the circuit breaker of a lane.",
        [
            Sample(int(progress.breaker.state is state), {"lane": lane, "state": state.value})
            for lane, progress in lanes.items()
            for state in BreakerState
        ],
    )
    yield each("meteor_breaker_openings", "counter", "How often it opened.", "breaker.openings")
    yield each("meteor_breaker_probes", "counter", "Tries while it was not closed.", "breaker.probes")
    yield each("meteor_breaker_retry_seconds", "gauge", "Until the next try.", "breaker.retry_in", "seconds")
    yield each("meteor_uplink_in_flight_messages", "gauge", "Being sent.", "in_flight", "messages")
    yield each(
        "meteor_uplink_unconfirmed_messages",
        "gauge",
        "Got a yes, not yet asked again.",
        "unconfirmed",
        "messages",
    )
    yield each(
        "meteor_uplink_missing_messages",
        "counter",
        "Sent again, because the yes was not kept.",
        "missing",
        "messages",
    )
    yield each("meteor_uplink_retried_messages", "counter", "To be handed in later.", "retried", "messages")
    yield each("meteor_uplink_rejected_messages", "counter", "Refused for good.", "rejected", "messages")


def _pick(progress: Progress, path: str) -> float:
    found: object = progress
    for name in path.split("."):
        found = getattr(found, name)
    assert isinstance(found, int | float)  # noqa: S101 - the paths stand above
    return found


def _connection(seen: Measurement | None) -> Iterator[Family]:
    latency = None if seen is None or seen.latency_ms is None else seen.latency_ms / 1000
    bandwidth = None if seen is None or seen.bandwidth_mbps is None else seen.bandwidth_mbps * 125_000
    yield Family(
        "meteor_connection_latency_seconds",
        "gauge",
        "To the cloud and back.",
        [Sample(latency)],
        unit="seconds",
    )
    yield Family(
        "meteor_connection_bandwidth_bytes", "gauge", "Upload in a second.", [Sample(bandwidth)], unit="bytes"
    )
    yield Family(
        "meteor_connection_loss_ratio",
        "gauge",
        "Share of requests without an answer.",
        [Sample(None if seen is None else seen.loss)],
        unit="ratio",
    )


def _live(connected: bool, counts: Counts) -> Iterator[Family]:
    yield Family(
        "meteor_realtime_connected", "gauge", "1 while the live connection stands.", [Sample(int(connected))]
    )
    yield Family(
        "meteor_realtime_connections",
        "counter",
        "Live connections that were opened.",
        [Sample(counts.connections)],
    )
    yield Family(
        "meteor_realtime_failures",
        "counter",
        "Live connections that ended or could not be opened.",
        [Sample(counts.failures)],
    )
    yield Family(
        "meteor_realtime_frames",
        "counter",
        "Frames that came: news, and what was ignored.",
        [Sample(counts.news, {"kind": "news"}), Sample(counts.ignored, {"kind": "ignored"})],
    )


def _host(gathered: Gathered) -> Iterator[Family]:
    host, intake = gathered.host, gathered.intake
    yield Family(
        "meteor_disk_free_bytes", "gauge", "Room on the data disk.", [Sample(host.disk.free)], unit="bytes"
    )
    yield Family(
        "meteor_cpu_temperature_celsius",
        "gauge",
        "Of the processor.",
        [Sample(host.cpu.temperature)],
        unit="celsius",
    )
    yield Family("meteor_uptime_seconds", "gauge", "Since the boot.", [Sample(host.uptime)], unit="seconds")
    yield Family(
        "meteor_intake_events", "counter", "Events taken in.", [Sample(intake.accepted)], unit="events"
    )
    yield Family(
        "meteor_intake_rejected_events",
        "gauge",
        "Files in the folder of the rejected.",
        [Sample(intake.rejected)],
        unit="events",
    )
