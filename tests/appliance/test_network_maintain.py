"""The loop that looks after a bad connection, on a clock that moves only while it sleeps."""

from __future__ import annotations

import asyncio

import pytest

from appliance.network.maintain import Maintainer
from appliance.network.meter import QualityMeter
from appliance.network.port import NO_LINK, JoinFailed, Link

ONLINE = Link("wifi", b"Home", online=True)


class Radio:
    """Says whether it is online, and counts the wishes to reconnect."""

    def __init__(self) -> None:
        self.now_link = ONLINE
        self.tried: list[float] = []
        self.works = True

    def link(self) -> Link:
        return self.now_link


class World:
    def __init__(self, looks: int) -> None:
        self.now, self.left = 0.0, looks
        self.waits: list[float] = []
        self.radio = Radio()
        self.meter = QualityMeter(lambda: self.now)
        self.radio.reconnect = self.reconnect  # type: ignore[attr-defined]
        self.maintainer = Maintainer(
            self.radio,  # type: ignore[arg-type]
            self.meter,
            lambda: self.now,
            self.sleep,
        )

    async def reconnect(self) -> Link:
        self.radio.tried.append(self.now)
        if not self.radio.works:
            raise JoinFailed("NET-007")
        return ONLINE

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        self.left -= 1
        if not self.left:
            raise asyncio.CancelledError

    async def run(self) -> None:
        with pytest.raises(asyncio.CancelledError):
            await self.maintainer.run()


async def test_a_good_connection_is_looked_at_every_thirty_seconds_and_left_alone() -> None:
    world = World(3)
    world.meter.answered(0.05, 100)
    await world.run()
    assert (world.waits, world.radio.tried) == ([30, 30, 30], [])


@pytest.mark.parametrize("works", [True, False])
async def test_a_poor_connection_is_looked_at_every_minute_with_a_try_to_reconnect(works: bool) -> None:
    world = World(3)
    world.radio.works = works
    for _ in range(3):
        world.meter.answered(0.9, 100)
    await world.run()
    assert (world.waits, world.radio.tried) == ([60, 60, 60], [0, 60, 120])


async def test_a_connection_through_which_nothing_comes_is_tried_less_and_less_often() -> None:
    world = World(5)
    world.meter.unanswered("dns")
    await world.run()
    assert world.waits == [1, 2, 4, 8, 16]
    assert len(world.radio.tried) == 5


async def test_a_link_that_is_gone_is_left_to_the_stage_that_reconnects() -> None:
    world = World(2)
    world.radio.now_link = NO_LINK
    world.meter.unanswered("dns")
    await world.run()
    assert world.radio.tried == []
