"""The heartbeat: paced by the cloud, one at a time, quiet about lasting faults, and never losing an ack."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web

from appliance.identity.credentials import Credentials
from appliance.uplink import heartbeat as module
from appliance.uplink.client import Refused, Unreachable
from appliance.uplink.heartbeat import Heartbeat
from protocol.messages import Command, ConfigUpdates, HeartbeatAnswer, HeartbeatRequest
from tests.appliance.fakes import DEVICE_ID, FakeCloud, cut, done_then_cut, problem, says
from tests.appliance.uplink_world import Uplink, uplink
from tests.appliance.workshop import running, until

PATH = f"/v1/devices/{DEVICE_ID}/heartbeat"


class Owner:
    """The device as a heartbeat sees it."""

    def __init__(self, credentials: Credentials | None) -> None:
        self.known = credentials
        self.names: list[str] = []
        self.updates: list[ConfigUpdates] = []
        self.answers: list[HeartbeatAnswer] = []
        self.described = 0
        self.releases = 0

    def credentials(self) -> Credentials | None:
        return self.known

    async def describe(self) -> HeartbeatRequest:
        self.described += 1
        return HeartbeatRequest(uptime=1.0, boot_id="b", seq=self.described, state="operational")

    async def renamed(self, name: str) -> None:
        self.names.append(name)

    def configured(self, update: ConfigUpdates) -> None:
        self.updates.append(update)

    async def released(self) -> None:
        self.releases += 1

    def advised(self, answer: HeartbeatAnswer) -> None:
        self.answers.append(answer)


class World:
    """A heartbeat with its owner, its cloud and its link."""

    def __init__(self, way: Uplink) -> None:
        self.way = way
        self.owner = Owner(way.credentials)
        self.online = asyncio.Event()
        self.online.set()
        self.heartbeat = Heartbeat(way.client, self.owner, self.online.wait)

    @property
    def cloud(self) -> FakeCloud:
        return self.way.cloud


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with uplink(tmp_path) as way:
        yield World(way)


def command(number: int) -> Command:
    return Command(id=f"cmd_{number}", type="reboot", parameters={}, timeout=60, priority="normal")


# --- pace ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "kept"), [(30, 30.0), (600, 600.0), (0, 1.0), (-5, 1.0), (10**6, module.SLOWEST_S)]
)
async def test_the_cloud_sets_the_pace_within_bounds(world: World, asked: int, kept: float) -> None:
    world.cloud.next_heartbeat_in = asked
    assert await world.heartbeat.beat() == kept


async def test_the_loop_waits_as_long_as_the_cloud_says(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def watched(pause: float) -> asyncio.Timeout:
        pauses.append(pause)
        return asyncio.timeout(0.01)

    world.cloud.next_heartbeat_in = 77
    with monkeypatch.context() as patch:
        patch.setattr(module, "asyncio", Clockwork(watched))
        async with running(world.heartbeat.run):
            await until(lambda: len(pauses) >= 2)
    assert set(pauses) == {77.0}


class Clockwork:
    """asyncio with another `timeout`."""

    def __init__(self, timeout: Callable[[float], asyncio.Timeout]) -> None:
        self.timeout = timeout

    def __getattr__(self, name: str) -> object:
        return getattr(asyncio, name)


async def test_it_ends_when_it_is_cancelled_even_in_the_moment_of_a_kick(world: World) -> None:
    for _ in range(3):
        task = asyncio.create_task(world.heartbeat.run())
        beats = len(world.cloud.heartbeats)
        await until(lambda beats=beats: len(world.cloud.heartbeats) > beats)  # type: ignore[misc]
        await asyncio.sleep(0.05)
        world.heartbeat.kick()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task}, timeout=5)
        assert task.cancelled()


async def test_a_kick_beats_at_once(world: World) -> None:
    world.cloud.next_heartbeat_in = 3600
    async with running(world.heartbeat.run):
        await until(lambda: len(world.cloud.heartbeats) == 1)
        world.heartbeat.kick()
        await until(lambda: len(world.cloud.heartbeats) == 2)
        await asyncio.sleep(0.05)
    assert len(world.cloud.heartbeats) == 2


async def test_it_waits_for_the_link_and_never_beats_into_nothing(world: World) -> None:
    world.online.clear()
    async with running(world.heartbeat.run):
        await asyncio.sleep(0.05)
        assert world.owner.described == 0
        world.online.set()
        await until(lambda: len(world.cloud.heartbeats) == 1)


async def test_a_station_without_an_owner_does_not_beat(world: World) -> None:
    world.owner.known = None
    assert await world.heartbeat.beat() == module.RETRY_S
    assert world.cloud.requests == []


async def test_two_that_beat_at_once_beat_one_after_the_other(world: World) -> None:
    under_way, most = 0, 0
    cloud = world.cloud

    async def slow(request: web.Request, body: bytes) -> web.StreamResponse:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1
        return await cloud.honest(request, body)

    cloud.script("POST", PATH, slow, slow, slow)
    await asyncio.gather(*(world.heartbeat.beat() for _ in range(3)))
    assert most == 1
    assert [each.seq for each in cloud.heartbeats] == [1, 2, 3]


@pytest.mark.parametrize(("retry_after", "pause"), [(None, module.RETRY_S), (3, module.RETRY_S), (90, 90.0)])
async def test_a_refused_beat_waits_at_least_as_long_as_the_cloud_asks(
    world: World, retry_after: float | None, pause: float
) -> None:
    world.cloud.script("POST", PATH, problem(429, retry_after=retry_after))
    assert await world.heartbeat._beat_safely() == pause


# --- what the cloud has for us ------------------------------------------------------------------------------


async def test_name_configuration_and_advice_are_handed_on(world: World) -> None:
    world.cloud.config_version = 4
    await world.heartbeat.beat()
    assert world.owner.names == ["North roof"]
    assert [update.version for update in world.owner.updates] == [4]
    assert world.owner.answers[0].status == "ok"
    assert world.heartbeat.last_answer == world.owner.answers[0].server_time


async def test_a_command_is_answered_with_the_next_beat_and_then_forgotten(world: World) -> None:
    world.cloud.commands = [command(1), command(2)]
    for _ in range(3):
        await world.heartbeat.beat()
    acks = [[(ack.id, ack.state) for ack in each.command_acks] for each in world.cloud.heartbeats]
    assert acks == [[], [("cmd_1", "REJECTED"), ("cmd_2", "REJECTED")], []]


@pytest.mark.parametrize("fault", ["cut", "lost", "refused", "nonsense"])
async def test_an_ack_survives_every_failure_until_the_cloud_has_it(world: World, fault: str) -> None:
    cloud = world.cloud
    faults = {
        "cut": cut,
        "lost": done_then_cut(cloud),
        "refused": problem(503),
        "nonsense": says(200, b"<html>"),
    }
    cloud.commands = [command(1)]
    await world.heartbeat.beat()
    cloud.script("POST", PATH, faults[fault])
    with pytest.raises((Unreachable, Refused)):
        await world.heartbeat.beat()
    await world.heartbeat.beat()
    assert [ack.id for ack in cloud.heartbeats[-1].command_acks] == ["cmd_1"]
    await world.heartbeat.beat()
    assert cloud.heartbeats[-1].command_acks == []


async def test_more_acks_than_one_beat_may_carry_go_with_the_next(world: World) -> None:
    world.cloud.commands = [command(number) for number in range(130)]
    for _ in range(3):
        await world.heartbeat.beat()
    assert [len(each.command_acks) for each in world.cloud.heartbeats] == [0, 100, 30]


# --- faults -------------------------------------------------------------------------------------------------


async def test_a_fault_is_logged_once_per_episode(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=module.__name__)
    world.cloud.script("POST", PATH, *[problem(503, code="REG-009", detail="Storage.")] * 4)
    for _ in range(4):
        await world.heartbeat._beat_safely()
    assert [record.message for record in caplog.records] == ["heartbeat: refused: 503 REG-009 Storage."]
    assert world.heartbeat.last_failure == "refused: 503 REG-009 Storage."
    await world.heartbeat._beat_safely()
    assert world.heartbeat.last_failure is None
    assert [record.message for record in caplog.records][1:] == ["heartbeat: answered again"]
    await world.heartbeat._beat_safely()
    assert len(caplog.records) == 2


async def test_the_loop_outlives_every_kind_of_failure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    faults = [cut, problem(500), says(200, b"<html>"), problem(404), says(302), problem(401, code="REG-004")]
    world.cloud.script("POST", PATH, *faults)
    async with running(world.heartbeat.run):
        await until(lambda: len(world.cloud.heartbeats) == 1)
    assert len(world.cloud.heard("POST", PATH)) == len(faults) + 1


async def test_what_a_wake_brought_is_answered_soon_and_once(world: World) -> None:
    world.cloud.next_heartbeat_in = 3600
    assert await world.heartbeat.beat() == 3600
    world.cloud.commands.append(command(1))
    world.heartbeat.wake()
    assert await world.heartbeat.beat() == module.FASTEST_S
    world.cloud.commands.clear()
    assert await world.heartbeat.beat() == 3600
    acks = [ack.id for beat in world.cloud.heartbeats for ack in beat.command_acks]
    assert acks == ["cmd_1"]
