"""What the link means for the machine, the buffer and the heartbeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.linkwatch import LinkWatch
from appliance.station import Station
from statemachine.lifecycle import State, Trigger
from tests.appliance.workshop import HOME, running, station, until, write_scenario


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Station]:
    async with station(tmp_path) as built:
        await built.device.network.start()
        yield built


class Watch:
    """A link watch, and what it told."""

    def __init__(self, made: Station, state: State) -> None:
        self.online = asyncio.Event()
        self.ups: list[str] = []
        self.made = made
        made.conductor._lifecycle._model.state = state.value
        self.watch = LinkWatch(made.device.network, made.conductor, self.online)
        self.watch.when_up(lambda: self.ups.append("up"))

    def requests(self) -> list[Trigger]:
        queue, found = self.made.conductor._outside, []
        while not queue.empty():
            found.append(queue.get_nowait())
        return found


@pytest.mark.parametrize("state", list(State))
async def test_a_link_that_comes_up_is_offered_where_it_means_something(made: Station, state: State) -> None:
    seen = Watch(made, state)
    async with running(seen.watch.run):
        await made.device.network.join(HOME)
        await until(lambda: seen.ups == ["up"])
    assert seen.online.is_set()
    expected = [Trigger.LINK_UP] if state in (State.SETUP, State.CONFIGURING) else []
    assert seen.requests() == expected


@pytest.mark.parametrize("state", [State.OPERATIONAL, State.ACTIVATING, State.RECONNECTING])
async def test_a_lost_link_is_offered_to_a_running_station_only(
    made: Station, state: State, tmp_path: Path
) -> None:
    await made.device.network.join(HOME)
    seen = Watch(made, state)
    async with running(seen.watch.run):
        await until(seen.online.is_set)
        write_scenario(tmp_path, in_range=False)
        await until(lambda: not seen.online.is_set())
    assert seen.requests() == ([Trigger.NETWORK_LOST] if state is State.OPERATIONAL else [])


async def test_a_link_that_only_changes_its_signal_is_no_news(made: Station, tmp_path: Path) -> None:
    await made.device.network.join(HOME)
    seen = Watch(made, State.OPERATIONAL)
    async with running(seen.watch.run):
        await until(lambda: seen.ups == ["up"])
        path = tmp_path / "scenario.toml"
        path.write_text(path.read_text().replace("signal = 80", "signal = 40"))
        await until(lambda: made.device.network.link().signal == 40)
        await asyncio.sleep(0.02)
    assert seen.ups == ["up"]
    assert seen.requests() == []
