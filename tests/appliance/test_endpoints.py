"""Which address is used: in order, sticky, and back to the first; then the same between real servers."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.identity.file_keys import ephemeral
from appliance.identity.nonces import Nonces
from appliance.uplink.client import CloudClient, Refused, Unreachable
from appliance.uplink.endpoints import Endpoints
from appliance.uplink.failover import return_to_primary
from appliance.uplink.time import CloudTime
from buffer.breaker import BreakerPolicy
from firmware.clock import SystemClock
from tests.appliance.fakes import DEVICE_ID, FakeCloud, problem, says
from tests.appliance.workshop import running, until

A, B, C = "https://a.example", "https://b.example", "https://c.example"
CONFIG = f"/v1/devices/config/{DEVICE_ID}"


def endpoints(*urls: str) -> Endpoints:
    return Endpoints(urls, lambda: 0.0)


def fail(chosen: Endpoints, times: int, now: float = 0.0) -> str:
    for _ in range(times):
        chosen.failed(chosen.current, now, "refused")
    return chosen.current


@pytest.mark.parametrize(
    ("failures", "used"),
    [(0, A), (2, A), (3, B), (5, B), (6, C), (9, A), (12, B), (18, A)],
)
def test_the_addresses_are_tried_in_order_and_each_has_three_chances(failures: int, used: str) -> None:
    assert fail(endpoints(A, B, C), failures) == used


def test_an_answer_forgives_earlier_failures() -> None:
    chosen = endpoints(A, B)
    fail(chosen, 2)
    chosen.succeeded(A, 1.0)
    assert fail(chosen, 2) == A


def test_a_backup_is_kept_until_the_first_address_was_well_twice() -> None:
    chosen = endpoints(A, B)
    assert chosen.health_wait(0.0) is None
    fail(chosen, 3)
    assert chosen.health_wait(0.0) == 60
    chosen.asked(False, 60.0, "HTTP 503")
    assert (chosen.current, chosen.health_wait(60.0)) == (B, 300)
    chosen.asked(True, 360.0)
    assert (chosen.current, chosen.health_wait(360.0)) == (B, 0)
    chosen.asked(True, 360.0)
    assert (chosen.current, chosen.health_wait(360.0)) == (A, None)


def test_with_one_address_nothing_is_ever_changed() -> None:
    assert fail(endpoints(A), 100) == A


def test_a_new_link_begins_with_the_first_address() -> None:
    chosen = endpoints(A, B)
    fail(chosen, 3)
    chosen.link_came_up()
    assert chosen.current == A
    assert [state.breaker.failures_in_row for state in chosen.states(0.0)] == [0, 0]


def test_the_same_address_twice_is_one() -> None:
    assert [state.url for state in endpoints(A, A + "/", B).states(0.0)] == [A, B]


@given(st.lists(st.sampled_from(["fail", "succeed", "link", "well", "ill"]), max_size=60))
def test_there_is_always_an_address_in_use_and_always_a_way_back(steps: list[str]) -> None:
    chosen, now = endpoints(A, B, C), 0.0
    for step in steps:
        now += 1.0
        match step:
            case "fail":
                fail(chosen, 1, now)
            case "succeed":
                chosen.succeeded(chosen.current, now)
            case "link":
                chosen.link_came_up()
            case _ if chosen.health_wait(now) is not None:
                now += chosen.health_wait(now) or 0.0
                chosen.asked(step == "well", now)
        assert [state.url for state in chosen.states(now) if state.in_use] == [chosen.current]
    while chosen.current != A:
        now += chosen.health_wait(now) or 0.0
        chosen.asked(True, now)


# --- between real servers -----------------------------------------------------------------------------------


@pytest.fixture
async def other() -> AsyncIterator[FakeCloud]:
    async with FakeCloud() as cloud:
        yield cloud


@pytest.fixture
async def client(tmp_path: Path, cloud: FakeCloud, other: FakeCloud) -> AsyncIterator[CloudClient]:
    key = ephemeral()
    for each in (cloud, other):
        each.keys[key.keyid] = key.public_key
        each.owned = True
    clock = SystemClock(built=time.time() - 1000)
    made = CloudClient(
        cloud.url, key, Nonces(tmp_path), CloudTime(clock), aiohttp.TCPConnector, backups=[other.url]
    )
    quick = BreakerPolicy(failures_in_row=3, window_minimum=6, recovery=(0.05, 0.05))
    made.endpoints = Endpoints([cloud.url, other.url], lambda: 0.0, quick)
    yield made
    await made.close()


async def test_a_backup_takes_over_and_its_requests_are_signed_for_its_own_name(
    cloud: FakeCloud, other: FakeCloud, client: CloudClient
) -> None:
    cloud.script("GET", CONFIG, *[problem(503)] * 3)
    for _ in range(3):
        with pytest.raises(Refused):
            await client.send("GET", CONFIG)
    assert (await client.send("GET", CONFIG)).status == 200, "the fake cloud verifies the authority"
    assert (len(cloud.requests), len(other.requests)) == (3, 1)
    assert other.requests[0].headers["host"] in other.url


async def test_a_server_that_is_gone_is_replaced_too(
    cloud: FakeCloud, other: FakeCloud, client: CloudClient
) -> None:
    await cloud.__aexit__()
    for _ in range(3):
        with pytest.raises(Unreachable):
            await client.send("GET", CONFIG)
    assert (await client.send("GET", CONFIG)).status == 200


@pytest.mark.parametrize("status", [400, 401, 404, 409, 429, 500])
async def test_an_answer_about_the_message_or_the_station_is_no_reason_to_go_elsewhere(
    cloud: FakeCloud, other: FakeCloud, client: CloudClient, status: int
) -> None:
    cloud.script("GET", CONFIG, *[problem(status)] * 6)
    for _ in range(6):
        with pytest.raises(Refused):
            await client.send("GET", CONFIG)
    assert other.requests == []


async def test_the_first_address_is_used_again_once_its_health_is_back(
    cloud: FakeCloud, other: FakeCloud, client: CloudClient
) -> None:
    for _ in range(3):
        client.endpoints.failed(cloud.url, client.time.system.monotonic(), "cut")
    cloud.script("GET", "/health", says(503), says(302, Location="/login"), *[says(200, b"{}")] * 2)
    async with running(lambda: return_to_primary(client, look_s=0.01)):
        await until(lambda: client.endpoints.current == cloud.url)
    assert len(cloud.heard("GET", "/health")) == 4
    assert other.heard("GET", "/health") == []
