"""A whole station from its first start to operational, and a power cut between any two of its writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from appliance import files
from appliance.identity.credentials import CredentialsFile
from appliance.station import Station
from buffer.breaker import BreakerState
from buffer.message import Draft, Priority
from portal.view import JoinRequest
from statemachine.lifecycle import State, Transition
from tests.appliance.fakes import DEVICE_ID, FakeCloud, event
from tests.appliance.workshop import PASSWORD, running, station, until, write_scenario

pytestmark = pytest.mark.usefixtures("quick")

WRITERS = (
    "appliance.journal",
    "appliance.identity.card",
    "appliance.identity.credentials",
    "appliance.identity.hotspot",
    "appliance.identity.keys",
    "appliance.identity.nonces",
    "appliance.configuration.apply",
    "appliance.network.stored",
)


@pytest.fixture(autouse=True)
def asked_often(cloud: FakeCloud) -> None:
    cloud.interval = 0


@dataclass
class Live:
    """A running station and the steps it took."""

    made: Station
    steps: list[Transition]

    @property
    def state(self) -> State:
        return self.made.conductor.state

    @property
    def states(self) -> list[State]:
        return [step.target for step in self.steps if step.moved]

    async def reach(self, *states: State) -> None:
        """Until a step into one of these has been taken and told to everybody."""
        await until(lambda: bool(self.steps) and self.steps[-1].target in states, 30)

    async def choose_network(self) -> None:
        """A phone comes to the hotspot and chooses, as the portal does it."""
        await self.reach(State.SETUP, State.CONFIGURING)
        await self.made.front.join(JoinRequest(b"Home", PASSWORD))


@asynccontextmanager
async def live(folder: Path, cloud: FakeCloud, *, ethernet: bool = False) -> AsyncIterator[Live]:
    async with station(folder, cloud.url, ethernet=ethernet, retry_seconds=0.3) as made:
        one = Live(made, [])
        made.conductor.observe(one.steps.append)
        async with running(*(service for _, service in made.services)):
            yield one


async def test_from_the_first_start_to_operational(tmp_path: Path, cloud: FakeCloud) -> None:
    async with live(tmp_path, cloud) as one:
        await one.choose_network()
        await one.reach(State.NETWORK_READY)
        await until(lambda: len(cloud.cards) == 1)
        cloud.person_came = True
        await one.reach(State.OPERATIONAL)
        await until(lambda: cloud.heartbeats[-1].state == "operational")
    assert one.states == [
        State.INITIALIZING,
        State.SETUP,
        State.CONFIGURING,
        State.CONNECTING,
        State.NETWORK_READY,
        State.CLAIMING,
        State.ACTIVATING,
        State.OPERATIONAL,
    ]


async def test_a_token_on_a_cable_needs_no_phone(tmp_path: Path, cloud: FakeCloud) -> None:
    async with live(tmp_path, cloud, ethernet=True) as one:
        await one.reach(State.NETWORK_READY)
        await one.made.front.use_claim_code(cloud.token)
        await one.reach(State.OPERATIONAL)
    assert State.CONFIGURING not in one.states


async def test_a_token_that_was_given_on_the_hotspot_is_used_as_soon_as_there_is_a_network(
    tmp_path: Path, cloud: FakeCloud
) -> None:
    async with live(tmp_path, cloud) as one:
        await one.reach(State.SETUP)
        await one.made.front.use_claim_code(cloud.token)
        await one.choose_network()
        await one.reach(State.OPERATIONAL)
    assert cloud.cards == [], "nobody was asked for the PIN"


async def test_a_claimed_station_is_back_at_work_after_a_power_cut_without_asking_anyone(
    tmp_path: Path, cloud: FakeCloud
) -> None:
    await claim(tmp_path, cloud)
    cards = len(cloud.cards)
    async with live(tmp_path, cloud) as one:
        await one.reach(State.OPERATIONAL)
    assert one.states == [State.INITIALIZING, State.RECONNECTING, State.OPERATIONAL]
    assert len(cloud.cards) == cards


async def claim(folder: Path, cloud: FakeCloud) -> None:
    """Leaves a claimed station in a folder, switched off."""
    cloud.person_came = True
    async with live(folder, cloud) as one:
        await one.choose_network()
        await one.reach(State.OPERATIONAL)
        await until(lambda: len(cloud.heartbeats) > 0)


async def test_a_claimed_station_with_a_new_network_passes_everything_at_once(
    tmp_path: Path, cloud: FakeCloud
) -> None:
    await claim(tmp_path, cloud)
    (tmp_path / "data" / "state" / "networks.json").unlink()
    cloud.person_came = False
    cards, asked = len(cloud.cards), len(cloud.heard("POST", "/v1/devices/register/validate"))
    async with live(tmp_path, cloud) as one:
        await one.choose_network()
        await one.reach(State.OPERATIONAL)
        assert one.made.device.card.known is None
    assert one.states == [
        State.INITIALIZING,
        State.RECONNECTING,
        State.SETUP,
        State.CONFIGURING,
        State.CONNECTING,
        State.NETWORK_READY,
        State.CLAIMING,
        State.ACTIVATING,
        State.OPERATIONAL,
    ]
    assert len(cloud.cards) == cards
    assert len(cloud.heard("POST", "/v1/devices/register/validate")) == asked


async def test_a_lost_link_is_found_again_and_a_router_that_starts_slowly_strands_nobody(
    tmp_path: Path, cloud: FakeCloud
) -> None:
    await claim(tmp_path, cloud)
    async with live(tmp_path, cloud) as one:
        await one.reach(State.OPERATIONAL)
        write_scenario(tmp_path, in_range=False)
        await one.reach(State.SETUP)
        await until(lambda: one.made.device.network.hotspot() is not None)
        write_scenario(tmp_path, in_range=True)
        await one.reach(State.OPERATIONAL)
        await until(lambda: one.made.device.network.hotspot() is None)


async def test_events_are_taken_and_sent_in_the_rescue_state_too(tmp_path: Path, cloud: FakeCloud) -> None:
    await claim(tmp_path, cloud)
    (tmp_path / "data" / "state" / "networks.json").unlink()
    async with live(tmp_path, cloud) as one:
        await one.reach(State.SETUP)
        write_scenario(tmp_path, ethernet=True)
        await until(lambda: any(b"station_started" in body for body in cloud.events.values()))


async def test_a_configuration_of_the_owner_is_applied_while_the_station_runs(
    tmp_path: Path, cloud: FakeCloud
) -> None:
    await claim(tmp_path, cloud)
    async with live(tmp_path, cloud) as one:
        await one.reach(State.OPERATIONAL)
        await until(lambda: len(cloud.heartbeats) >= 2)
        cloud.config_version, cloud.desired = 2, {"monitoring": {"telemetry_interval_seconds": 11}}
        one.made.device.heartbeat.kick()
        await until(lambda: cloud.heartbeats[-1].config_version == 2)
        assert State.UPDATING in one.states


async def test_a_configuration_that_is_refused_does_not_make_the_station_run_in_circles(
    tmp_path: Path, cloud: FakeCloud
) -> None:
    await claim(tmp_path, cloud)
    async with live(tmp_path, cloud) as one:
        await one.reach(State.OPERATIONAL)
        cloud.config_version, cloud.desired = 2, {"detection": {"sensitivity": 7}}
        one.made.device.heartbeat.kick()
        await until(lambda: (cloud.heartbeats[-1].config_error or "").startswith("REG-007"))
        await asyncio.sleep(0.3)
        assert one.states.count(State.UPDATING) == 1


async def test_an_unclaimed_station_sends_nothing_and_its_breaker_stays_closed(
    tmp_path: Path, cloud: FakeCloud
) -> None:
    async with live(tmp_path, cloud, ethernet=True) as one:
        await one.reach(State.NETWORK_READY)
        made = event(1)
        draft = Draft("event", made.event_id.encode(), Priority.CRITICAL)
        await one.made.board._store.put(draft)
        one.made.board._drain.kick()
        await asyncio.sleep(0.2)
        progress = one.made.board._drain.progress()
    assert progress.breaker.state is BreakerState.CLOSED
    assert (progress.in_flight, progress.breaker.failures_in_row) == (0, 0)
    assert cloud.heard("POST", "events") == []
    assert cloud.heard("POST", "heartbeat") == []


# --- power cuts ---------------------------------------------------------------------------------------------


class Cutter:
    """Cuts the power before or after the n-th durable write, and lets nothing be written from then on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, *, after: bool) -> None:
        self.count, self.at, self.after, self.dead = 0, at, after, False
        self.written: list[str] = []
        for module in WRITERS:
            monkeypatch.setattr(f"{module}.write_atomically", self._write)

    def _write(self, path: Path, data: bytes, mode: int = 0o600) -> None:
        self.count += 1
        the_one = self.count == self.at  # looked at now: two threads may write at a time
        if self.dead or (the_one and not self.after):
            self.dead = True
            raise OSError(5, "the power is cut")
        files.write_atomically(path, data, mode)
        self.written.append(path.name)
        if the_one:
            self.dead = True
            raise OSError(5, "the power is cut")


def is_the_cut(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(is_the_cut(each) for each in error.exceptions)
    return isinstance(error, OSError) and "the power is cut" in str(error)


async def one_life(folder: Path, cloud: FakeCloud, mode: str) -> None:
    """From the start of the program until it is operational."""
    async with live(folder, cloud) as one, running(partial(walk, one, cloud, mode)):
        await one.reach(State.OPERATIONAL)


async def walk(one: Live, cloud: FakeCloud, mode: str) -> None:
    """A person who does what the station waits for, again and again."""
    while True:
        if one.state in (State.SETUP, State.CONFIGURING) and not one.made.device.inbox.has_credentials:
            if mode == "token" and one.made.device.journal.record.claim_token is None:
                await one.made.front.use_claim_code(cloud.token)
            await one.made.front.join(JoinRequest(b"Home", PASSWORD))
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("mode", ["card", "token"])
async def test_a_power_cut_at_any_write_of_a_claim_leaves_a_station_that_finds_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, after: bool
) -> None:
    cuts = 0
    for at in range(1, 100):
        folder = tmp_path / f"{at}"
        folder.mkdir()
        async with FakeCloud() as cloud:
            cloud.person_came, cloud.interval = mode == "card", 0
            with monkeypatch.context() as patch:
                cutter = Cutter(patch, at, after=after)
                try:
                    await one_life(folder, cloud, mode)
                except BaseException as error:
                    if not is_the_cut(error):
                        raise
            if not cutter.dead:
                break
            cuts += 1
            await check_the_next_life(folder, cloud, mode)
    assert cuts >= 8, f"only {cuts} writes were cut: {cutter.written}"


async def check_the_next_life(folder: Path, cloud: FakeCloud, mode: str) -> None:
    """The same station, the same card, and in the end claimed exactly once."""
    pins = {card.pin for card in cloud.cards}
    await one_life(folder, cloud, mode)
    pins |= {card.pin for card in cloud.cards}
    assert len(pins) <= 1, "a second PIN was shown for a live claim"
    assert len(cloud.keys) <= 1, "the station changed its identity"
    kept = CredentialsFile(folder / "data" / "identity").current
    assert kept is not None
    assert kept.device_id == DEVICE_ID
