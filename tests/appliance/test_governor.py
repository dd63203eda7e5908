"""The level of degradation in the running parts: what drives it, who obeys, and where it is seen."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.governor import Governor
from appliance.identity.credentials import from_claim
from appliance.network.meter import QualityMeter
from appliance.report import Condition
from appliance.sources.schema import Observation
from appliance.station import Station
from appliance.telemetry.host import HostFacts, HostTelemetry
from buffer.breaker import BreakerSnapshot, BreakerState
from buffer.degradation import Duties, Level
from buffer.drain import Progress
from buffer.message import Draft, Priority
from protocol.messages import ConfigUpdates, CpuUsage, HeartbeatAnswer, HeartbeatRequest
from tests.appliance.fakes import FakeCloud
from tests.appliance.workshop import HOME, running, station, until, write_scenario


class FakeDrain:
    """Shows a breaker and remembers what it was asked."""

    def __init__(self) -> None:
        self.state = BreakerState.CLOSED
        self.failures = 0
        self.duties = Duties()

    def progress(self) -> Progress:
        breaker = BreakerSnapshot(self.state, 0.0, False, self.failures, 0, None)
        return Progress(None, 0, 0, 0, 0, breaker)

    def obey(self, duties: Duties) -> None:
        self.duties = duties


class World:
    def __init__(self) -> None:
        self.now = 0.0
        self.drain = FakeDrain()
        self.meter = QualityMeter(lambda: self.now)
        self.disk: float | None = 0.3
        self.spared: list[bool] = []
        self.governor = Governor(
            self.drain,  # type: ignore[arg-type]
            self.meter,
            lambda: (self.disk, False, None),
            lambda: self.now,
            lambda on: self.spared.append(on),
        )

    def after(self, seconds: float) -> Level:
        self.now += seconds
        self.governor.look()
        return self.governor.judgement.level


def test_a_breaker_that_only_probes_is_an_outage_until_a_probe_gets_through() -> None:
    world = World()
    world.drain.state, world.drain.failures = BreakerState.OPEN, 5
    assert world.after(0) is Level.REDUCED
    world.drain.state = BreakerState.HALF_OPEN
    assert world.after(120) is Level.OFFLINE, "a probe on its way is no answer"
    world.drain.failures = 0
    assert world.after(1) is Level.REDUCED
    assert world.drain.duties.batch_every == 300
    world.drain.state = BreakerState.CLOSED
    assert [world.after(1), world.after(60)] == [Level.REDUCED, Level.FULL]
    assert world.drain.duties.batch_every is None


def test_a_poor_connection_is_measured_and_answered_with_bundled_uploads() -> None:
    world = World()
    for _ in range(3):
        world.meter.answered(0.9, 500)
    assert world.after(0) is Level.REDUCED
    assert world.governor.judgement.reason == "connection"


def test_a_full_disk_does_not_keep_back_what_would_free_it(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.disk = 0.9
    assert world.after(0) is Level.CONSERVE
    assert world.drain.duties.batch_every is None
    assert "degradation level 4 (was 1): disk" in caplog.text


def test_the_store_spares_at_level_4_and_stops_when_the_disk_has_room_again() -> None:
    world = World()
    world.drain.state = BreakerState.OPEN
    assert [world.after(0), world.after(130)] == [Level.REDUCED, Level.OFFLINE]
    world.disk = 0.9
    assert world.after(1) is Level.CONSERVE
    assert world.spared == [False, False, True]
    world.disk = 0.3
    assert [world.after(1), world.after(61)] == [Level.CONSERVE, Level.OFFLINE]
    assert world.spared[-2:] == [True, False]


async def test_a_station_whose_disk_fills_up_writes_low_messages_only_afterwards(
    made: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, now = [0.9], [1000.0]
    monkeypatch.setattr(made.governor, "_supplies", lambda: (disk[0], False, None))
    monkeypatch.setattr(made.governor, "_now", lambda: now[0])
    store = made.front._store
    made.governor.look()
    await store.put_soon(Draft("log", b"a word", Priority.LOW))
    await store.put(Draft("log", b"important", Priority.CRITICAL))
    assert store.waiting(Priority.LOW) == 0
    disk[0] = 0.3
    made.governor.look()
    now[0] += 61
    made.governor.look()
    await until(lambda: store.waiting(Priority.LOW) == 1)


@pytest.fixture
async def made(tmp_path: Path, cloud: FakeCloud) -> AsyncIterator[Station]:
    async with station(tmp_path, cloud.url) as built:
        await built.device.network.start()
        yield built


def owner(made: Station) -> Condition:
    told = made.device.heartbeat._owner
    assert isinstance(told, Condition)
    return told


async def describe(made: Station) -> HeartbeatRequest:
    return await owner(made).describe()


def poor(made: Station) -> None:
    for _ in range(3):
        made.device.client.meter.answered(0.9, 500)
    made.governor.look()


async def test_the_heartbeat_tells_of_the_hardware_until_it_was_answered(made: Station) -> None:
    told = [(await describe(made)).device_info for _ in range(2)]
    assert told == [made.device.hardware.info] * 2
    owner(made).advised(
        HeartbeatAnswer(status="ok", server_time="2026-01-01T00:00:00Z", next_heartbeat_in=60)
    )
    assert (await describe(made)).device_info is None


async def test_the_heartbeat_tells_the_level_and_says_less_on_a_poor_day(made: Station) -> None:
    await describe(made)
    full = await describe(made)
    assert (full.degradation.level, full.degradation.reason) == (1, "")
    assert full.cpu_usage != CpuUsage()
    poor(made)
    reduced = await describe(made)
    assert (reduced.degradation.level, reduced.degradation.reason) == (2, "connection")
    assert reduced.cpu_usage == CpuUsage()
    assert reduced.network_quality.latency == 900
    assert reduced.disk_usage == full.disk_usage or reduced.disk_usage.total == full.disk_usage.total


async def test_on_a_poor_day_a_new_configuration_is_taken_once_an_hour(
    made: Station, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[object] = []
    monkeypatch.setattr(made.conductor, "request", taken.append)
    envelope = cloud.envelope()

    def offer(version: int) -> int:
        owner(made).configured(ConfigUpdates(version=version, updates={}, signature=envelope))
        return len(taken)

    now = [10_000.0]
    monkeypatch.setattr(made.device.time.system, "monotonic", lambda: now[0])
    poor(made)
    assert [offer(1), offer(2)] == [1, 1]
    now[0] += 3601
    assert offer(2) == 2


async def test_the_status_page_says_what_the_level_means(
    made: Station, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.device.credentials.keep(from_claim(cloud.complete(), cloud.url))
    assert not [each for each in made.board.snapshot().warnings if each.code.startswith("UPL")]
    poor(made)
    [notice] = [each for each in made.board.snapshot().warnings if each.code.startswith("UPL")]
    assert notice.code == "UPL-002"
    assert "every five minutes" in str(notice.sentence)


async def test_a_sensor_that_hangs_delays_neither_the_heartbeat_nor_the_uploads(
    made: Station, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread hangs until the test lets it go; heartbeats and an event go meanwhile."""
    hang = threading.Event()
    host = made.board._host_facts_of
    monkeypatch.setattr(host, "_patience", 0.01)

    def stuck(_self: HostTelemetry) -> HostFacts:
        hang.wait(60)
        raise OSError("the sensor went away")

    monkeypatch.setattr(HostTelemetry, "_read", stuck)
    made.device.credentials.keep(from_claim(cloud.complete(), cloud.url))
    cloud.keys[made.device.key.keyid] = made.device.key.public_key
    services = dict(made.services)
    await made.device.network.join(HOME)
    try:
        async with running(services["heartbeat"], services["drain"], services["conductor"], services["link"]):
            await until(lambda: len(cloud.heartbeats) >= 1)
            await made.device.note_start()
            made.device.heartbeat.kick()
            await until(lambda: len(cloud.heartbeats) >= 2 and len(cloud.events) == 1)
        assert cloud.heartbeats[-1].error_count.collector_overruns >= 1
        assert cloud.heartbeats[-1].memory_usage.total is None, "what is unknown is null"
    finally:
        hang.set()
        await host.close()


async def test_what_waited_is_sent_within_half_a_minute_of_the_networks_return(
    made: Station, cloud: FakeCloud, tmp_path: Path, quick: None
) -> None:
    made.device.credentials.keep(from_claim(cloud.complete(), cloud.url))
    cloud.keys[made.device.key.keyid] = made.device.key.public_key
    await made.device.network.join(HOME)
    async with running(*(service for name, service in made.services if name not in ("button", "panel"))):
        await until(lambda: len(cloud.heartbeats) >= 1)
        write_scenario(tmp_path, in_range=False)
        await until(lambda: not made.device.network.link().online)
        async with made.intake.delivery() as delivery:
            await delivery.accept(
                Observation(event_type="meteor", timestamp="2026-08-12T22:00:00Z"), [], "test"
            )
        await until(lambda: made.board.snapshot().breaker.retry_in is not None)
        assert not cloud.events
        write_scenario(tmp_path, in_range=True)
        await until(lambda: len(cloud.events) == 1, 30)
    assert cloud.heartbeats[0].degradation.level == 1
