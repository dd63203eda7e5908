"""A station's real live connection before the real cloud: an order wakes it, and losses are survived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.uplink import realtime as module
from appliance.uplink.realtime import Realtime
from tests.appliance.workshop import running, until
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.renewing_station import Renewing


class Live:
    """The station, whose it is, and how often it was woken."""

    def __init__(self, cloud: Cloud, owner: Person, station: Renewing) -> None:
        self.cloud, self.owner, self.station = cloud, owner, station
        self.woken = 0
        online = asyncio.Event()
        online.set()
        self.live = Realtime(
            station.client,
            lambda: station.credentials.current,
            self._wake,
            lambda _: True,
            online.wait,
            lambda: 0.0,
        )

    def _wake(self) -> None:
        self.woken += 1

    @property
    def place(self) -> str:
        return f"/v1/devices/{self.station.device_id}"


@pytest.fixture
async def live(cloud: Cloud, tmp_path: Path) -> AsyncIterator[Live]:
    owner = await cloud.person()
    station = Renewing(cloud, tmp_path)
    await station.claim(owner)
    yield Live(cloud, owner, station)
    await station.close()


async def test_an_order_of_the_owner_wakes_the_station(live: Live) -> None:
    async with running(live.live.run):
        await until(lambda: live.live.condition == "connected")
        await until(lambda: live.woken == 1)  # the first configuration, which it never said it has
        reply = await live.owner.send("POST", f"{live.place}/commands", {"type": "locate"})
        assert reply.status in (200, 201, 202), reply
        await until(lambda: live.woken == 2)
    assert live.live.counts.ignored == 0


async def test_a_revoked_station_asks_by_a_signed_request_and_does_not_hammer(live: Live) -> None:
    async with running(live.live.run):
        await until(lambda: live.woken == 1)
        assert (await live.owner.send("POST", f"{live.place}/release", {})).status == 200
        await until(lambda: live.live.condition != "connected" and live.woken == 2)
        await until(lambda: live.live.counts.failures >= 2)
    assert live.live.counts.connections == 1


async def test_a_token_that_ends_is_replaced_on_the_open_connection(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.1)
    async with running(live.live.run):
        await until(lambda: live.woken == 1)
        first = live.live._token
        assert first is not None
        first.renew_at = 0.0
        await until(lambda: live.live._token not in (first, None))
        await live.owner.send("POST", f"{live.place}/commands", {"type": "locate"})
        await until(lambda: live.woken == 2)
    assert live.live.counts.connections == 1
