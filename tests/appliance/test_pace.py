"""The station's own limit, on a clock that only moves while somebody waits."""

from __future__ import annotations

from appliance.uplink.pace import Pace
from protocol.limits import DEVICE_DATA, Rate, take


class World:
    def __init__(self) -> None:
        self.now = 0.0
        self.pace = Pace(lambda: self.now, sleep=self.sleep)
        self.sent: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def send(self, *, urgent: bool = False) -> None:
        await self.pace.turn(urgent=urgent)
        self.sent.append(self.now)


async def test_a_nights_backlog_is_sent_inside_the_clouds_limit() -> None:
    world, bucket = World(), None
    while len(world.sent) < 5000:
        await world.send()
        bucket, wait = take(bucket, DEVICE_DATA, world.now)
        assert wait == 0, "the cloud would have refused this one"
    for index, first in enumerate(world.sent):
        hour = sum(first <= each < first + 3600 for each in world.sent[index : index + 1001])
        assert hour < 1000


async def test_a_quiet_station_waits_for_nothing() -> None:
    world = World()
    for _ in range(100):
        world.now += 60
        await world.send()
    assert world.sent == [60.0 * each for each in range(1, 101)]


async def test_an_urgent_request_never_waits_and_the_next_ones_pay_for_it() -> None:
    world = World()
    world.pace = Pace(lambda: world.now, Rate(60, 60, 1), world.sleep)
    for _ in range(5):
        await world.send(urgent=True)
    assert world.sent == [0.0] * 5
    await world.send()
    assert round(world.sent[-1], 6) == 5.0
