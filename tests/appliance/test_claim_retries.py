"""How often a claim is tried, what ends it at once, and a cloud that is not the one of the claim code."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from appliance.stages import claiming
from appliance.station import Station
from statemachine.lifecycle import Trigger
from tests.appliance.fakes import FakeCloud, Handler, cut, problem, says
from tests.appliance.test_stages_claim import BUSY, CLAIM, CONFIRM, last_code, made, ready
from tests.appliance.workshop import until

__all__ = ["made"]

pytestmark = pytest.mark.usefixtures("quick")

KEYS_OF_NOBODY = b'{"envelope":{"payloadType":"","payload":"","signatures":[]},"server_time":""}'
LADDER = (2.0, 4.0, 8.0, 16.0, 32.0)


@pytest.fixture
def waits(made: Station, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The product's own waits, on a clock whose sleeps are over at once."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(claiming, "RETRY_S", LADDER)
    monkeypatch.setattr(made.device.time.system, "sleep", sleep)
    return slept


def tries(cloud: FakeCloud, mode: str) -> int:
    return len(cloud.heard("POST", CLAIM if mode == "token" else CONFIRM))


@pytest.mark.parametrize("mode", ["token", "card"])
@pytest.mark.parametrize("fault", [cut, *(problem(status) for status in BUSY)])
async def test_five_tries_more_with_doubling_waits_and_the_sixth_failure_ends_it(
    made: Station, cloud: FakeCloud, waits: list[float], mode: str, fault: Handler
) -> None:
    await ready(made, cloud, mode)
    cloud.script("POST", CLAIM if mode == "token" else CONFIRM, *[fault] * 20)
    assert await claiming.run(made.device) is Trigger.CLAIM_FAILED
    assert waits == list(LADDER)
    assert tries(cloud, mode) == 6
    assert made.device.journal.record.last_error is not None


@pytest.mark.parametrize("mode", ["token", "card"])
async def test_the_sixth_try_may_still_succeed(
    made: Station, cloud: FakeCloud, waits: list[float], mode: str
) -> None:
    await ready(made, cloud, mode)
    cloud.script("POST", CLAIM if mode == "token" else CONFIRM, *[cut] * 5)
    assert await claiming.run(made.device) is Trigger.CLAIM_SUCCEEDED
    assert waits == list(LADDER)


@pytest.mark.parametrize("mode", ["token", "card"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 422, 431])
async def test_what_the_cloud_refuses_is_not_tried_again(
    made: Station, cloud: FakeCloud, waits: list[float], mode: str, status: int
) -> None:
    await ready(made, cloud, mode)
    cloud.script("POST", CLAIM if mode == "token" else CONFIRM, problem(status, detail="No."))
    assert await claiming.run(made.device) is Trigger.CLAIM_FAILED
    assert (waits, tries(cloud, mode)) == ([], 1)


async def test_a_cloud_that_names_a_longer_wait_is_obeyed(
    made: Station, cloud: FakeCloud, waits: list[float]
) -> None:
    await ready(made, cloud, "token")
    cloud.script("POST", CLAIM, problem(429, retry_after=300), problem(503, retry_after=1))
    assert await claiming.run(made.device) is Trigger.CLAIM_SUCCEEDED
    assert waits == [300.0, 4.0]


async def test_the_wrong_cloud_keeps_the_code_says_so_and_takes_another_one(
    made: Station, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fake cloud has no authority, so no pin fits. Nothing but its keys is asked for."""
    await ready(made, cloud, "token")
    await made.device.journal.change(lambda record: replace(record, ca_pin="a" * 64))
    answers = [says(200, KEYS_OF_NOBODY, **{"Content-Type": "application/json"})] * 6
    cloud.script("GET", "/v1/keys", *answers)
    assert await claiming.run(made.device) is Trigger.CLAIM_FAILED
    assert last_code(made) == "CERT-005"
    assert made.device.journal.record.claim_token == cloud.token
    assert {each.method for each in cloud.requests} == {"GET"}, "neither token nor card went out"

    cloud.script("GET", "/v1/keys", answers[0])
    monkeypatch.setattr(claiming, "RETRY_S", (3600.0,) * 5)
    claiming_wait = asyncio.create_task(claiming.run(made.device))
    await until(lambda: len(cloud.heard("GET", "/v1/keys")) == 7)
    await made.device.journal.change(lambda record: replace(record, ca_pin=None))
    made.device.inbox.claim_changed()
    assert await asyncio.wait_for(claiming_wait, 20) is Trigger.CLAIM_SUCCEEDED
    assert made.device.journal.record.ca_pin is None
