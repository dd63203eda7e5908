"""The stages of a claim: waiting for a person, proving the key, activating; every answer of the cloud."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from appliance.identity.credentials import CredentialsFile, from_claim
from appliance.stages import activating, claiming, network_ready
from appliance.station import Station
from appliance.uplink.client import Unreachable
from protocol import errors
from protocol.messages import ConfigAnswer
from statemachine.lifecycle import Trigger
from statemachine.record import decode
from tests.appliance.fakes import (
    CLAIM_ID,
    DEVICE_ID,
    FakeCloud,
    Handler,
    cut,
    done_then_cut,
    problem,
    says,
)
from tests.appliance.workshop import HOME, station, until, write_scenario

pytestmark = pytest.mark.usefixtures("quick")

CLAIM = "/v1/devices/claim"
VALIDATE = "/v1/devices/register/validate"
CONFIRM = "/v1/devices/register/confirm"
BUSY = (408, 429, 500, 502, 503, 504)


@pytest.fixture
async def made(tmp_path: Path, cloud: FakeCloud) -> AsyncIterator[Station]:
    """An unclaimed station that is online."""
    async with station(tmp_path, cloud.url) as built:
        await built.device.network.start()
        await built.device.network.join(HOME)
        yield built


async def with_token(made: Station, token: str) -> None:
    await made.device.journal.change(lambda record: replace(record, claim_token=token))


PENDING = (
    b'{"claim_id":"%b","status":"claiming","expires_in":900,"interval":0,"verification_uri":"","server_time":""}'
    % CLAIM_ID.encode()
)


def last_code(made: Station) -> str | None:
    last = made.device.journal.record.last_error
    return None if last is None else last.code


# --- waiting for a person -----------------------------------------------------------------------------------


async def test_the_station_tells_its_card_and_waits_until_a_person_comes(
    made: Station, cloud: FakeCloud
) -> None:
    stage = asyncio.create_task(network_ready.run(made.device))
    await until(lambda: len(cloud.heard("POST", VALIDATE)) >= 2)
    card = made.device.card.current()
    assert (cloud.cards[0].pin, cloud.cards[0].link_secret) == (card.pin, card.link_secret)
    assert made.device.journal.record.claim_id == CLAIM_ID
    cloud.person_came = True
    made.device.inbox.claim_changed()
    assert await stage is Trigger.CLAIM_STARTED
    assert made.device.claim.challenge is not None
    assert len(cloud.cards) == 1


async def test_a_station_that_the_cloud_knows_already_needs_no_person(
    made: Station, cloud: FakeCloud
) -> None:
    cloud.owned = True
    assert await network_ready.run(made.device) is Trigger.CLAIM_STARTED
    assert made.device.claim.complete is not None


async def test_a_claimed_station_asks_nobody(made: Station, cloud: FakeCloud) -> None:
    made.device.credentials.keep(from_claim(cloud.complete(), cloud.url))
    await made.device.open_hotspot()
    assert await network_ready.run(made.device) is Trigger.CLAIM_STARTED
    assert await claiming.run(made.device) is Trigger.CLAIM_SUCCEEDED
    assert cloud.requests == []
    assert made.device.card.known is None
    assert made.device.network.hotspot() is None


async def test_a_token_goes_first(made: Station, cloud: FakeCloud) -> None:
    await with_token(made, cloud.token)
    assert await network_ready.run(made.device) is Trigger.CLAIM_STARTED
    assert cloud.requests == []


async def test_a_token_that_comes_while_the_station_waits_is_taken_up_at_once(
    made: Station, cloud: FakeCloud
) -> None:
    cloud.interval = 3600
    stage = asyncio.create_task(network_ready.run(made.device))
    await until(lambda: len(cloud.cards) == 1)
    await with_token(made, cloud.token)
    made.device.inbox.claim_changed()
    assert await asyncio.wait_for(stage, 10) is Trigger.CLAIM_STARTED


async def test_a_burnt_pin_is_replaced_by_a_new_card(made: Station, cloud: FakeCloud) -> None:
    old = made.device.card.current()
    cloud.script("POST", VALIDATE, problem(410, code="REG-002", reason=errors.TOO_MANY_ATTEMPTS))
    stage = asyncio.create_task(network_ready.run(made.device))
    await until(lambda: len(cloud.cards) == 2)
    stage.cancel()
    new = made.device.card.current()
    assert new.link_secret != old.link_secret
    assert [card.link_secret for card in cloud.cards] == [old.link_secret, new.link_secret]


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_a_claim_that_is_over_begins_anew_with_the_same_card(
    made: Station, cloud: FakeCloud, status: int
) -> None:
    cloud.script("POST", VALIDATE, problem(status, code="REG-002", reason=errors.CLAIM_EXPIRED))
    stage = asyncio.create_task(network_ready.run(made.device))
    await until(lambda: len(cloud.cards) == 2)
    stage.cancel()
    assert cloud.cards[0].pin == cloud.cards[1].pin


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_a_card_that_is_refused_again_and_again_is_not_hammered(
    made: Station, cloud: FakeCloud, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_ready, "RETRY_S", (30.0,))
    cloud.script("POST", CLAIM, *[problem(status)] * 50)
    stage = asyncio.create_task(network_ready.run(made.device))
    await until(lambda: last_code(made) is not None)
    await asyncio.sleep(0.1)
    stage.cancel()
    assert len(cloud.requests) == 1


async def test_asking_too_often_is_nothing_that_a_person_should_read_about(
    made: Station, cloud: FakeCloud
) -> None:
    cloud.script("POST", VALIDATE, problem(429, code="REG-006", reason="slow_down", retry_after=1))
    stage = asyncio.create_task(network_ready.run(made.device))
    await until(lambda: len(cloud.heard("POST", VALIDATE)) >= 1)
    await asyncio.sleep(0.05)
    stage.cancel()
    assert last_code(made) is None


async def test_a_cloud_that_cannot_be_reached_is_told_and_forgotten_when_it_answers(
    made: Station, cloud: FakeCloud
) -> None:
    cloud.script("POST", CLAIM, cut, cut)
    stage = asyncio.create_task(network_ready.run(made.device))
    await until(lambda: last_code(made) == "REG-005")
    await until(lambda: len(cloud.cards) == 1 and last_code(made) is None)
    stage.cancel()


async def test_a_cloud_whose_name_is_not_known_is_logged_once_for_each_change(
    made: Station, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "appliance.journal")
    asked = 0

    async def silent(*_card: object) -> None:
        nonlocal asked
        asked += 1
        raise Unreachable(*(("dns", "no name") if asked < 4 else ("timeout", "no answer")))

    monkeypatch.setattr(made.device.claiming, "with_card", silent)
    stage = asyncio.create_task(network_ready.run(made.device))
    await until(lambda: asked >= 8)
    stage.cancel()
    said = [each.getMessage() for each in caplog.records if each.name == "appliance.journal"]
    assert said == ["REG-005: no name", "REG-005: no answer"]


async def test_a_lost_network_is_looked_for_while_the_station_waits(
    made: Station, cloud: FakeCloud, tmp_path: Path
) -> None:
    write_scenario(tmp_path, in_range=False)
    await until(lambda: not made.device.network.link().online)
    await with_token(made, cloud.token)
    stage = asyncio.create_task(network_ready.run(made.device))
    await until(lambda: last_code(made) == "REG-005")
    assert not stage.done(), "a token is worth nothing without a network"
    write_scenario(tmp_path, in_range=True)
    assert await asyncio.wait_for(stage, 20) is Trigger.CLAIM_STARTED
    assert made.device.network.link().online


# --- proving the key ----------------------------------------------------------------------------------------


async def ready(made: Station, cloud: FakeCloud, mode: str) -> None:
    """Brings the station to where `claiming` begins."""
    if mode == "token":
        await with_token(made, cloud.token)
    else:
        cloud.person_came = True
        made.device.claim.id = CLAIM_ID
        cloud.keys[made.device.key.keyid] = made.device.key.public_key
    cloud.requests.clear()


@pytest.mark.parametrize("mode", ["token", "card"])
async def test_a_claim_leaves_credentials_and_a_clean_record(
    made: Station, cloud: FakeCloud, tmp_path: Path, mode: str
) -> None:
    await ready(made, cloud, mode)
    assert await claiming.run(made.device) is Trigger.CLAIM_SUCCEEDED
    kept = CredentialsFile(made.paths.identity).current
    assert kept is not None
    assert (kept.device_id, kept.name) == (DEVICE_ID, "North roof")
    record = decode((tmp_path / "data" / "state" / "record.json").read_bytes())
    assert (record.device_id, record.claim_id, record.claim_token) == (DEVICE_ID, None, None)


@pytest.mark.parametrize("mode", ["token", "card"])
async def test_a_lost_answer_is_fetched_again(made: Station, cloud: FakeCloud, mode: str) -> None:
    await ready(made, cloud, mode)
    cloud.script("POST", CLAIM if mode == "token" else CONFIRM, done_then_cut(cloud))
    assert await claiming.run(made.device) is Trigger.CLAIM_SUCCEEDED
    assert made.device.claimed


TRANSIENT: list[Handler] = [*(problem(status) for status in BUSY), cut, says(200, b"<html>"), says(302)]


@pytest.mark.parametrize("mode", ["token", "card"])
@pytest.mark.parametrize("fault", TRANSIENT)
async def test_a_cloud_that_is_busy_costs_neither_token_nor_claim(
    made: Station, cloud: FakeCloud, mode: str, fault: Handler
) -> None:
    await ready(made, cloud, mode)
    cloud.script("POST", CLAIM if mode == "token" else CONFIRM, fault, fault)
    assert await claiming.run(made.device) is Trigger.CLAIM_SUCCEEDED
    assert made.device.journal.record.last_error is None


async def test_a_cloud_that_stays_away_sends_the_station_back_with_its_token(
    made: Station, cloud: FakeCloud
) -> None:
    await ready(made, cloud, "token")
    cloud.script("POST", CLAIM, *[cut] * 30)
    assert await claiming.run(made.device) is Trigger.CLAIM_FAILED
    assert made.device.journal.record.claim_token == cloud.token
    assert last_code(made) == "REG-005"


@pytest.mark.parametrize(
    ("status", "code"), [(401, "REG-004"), (409, "REG-003"), (410, "REG-002"), (422, "REG-001")]
)
async def test_a_refused_token_is_not_tried_again_and_its_reason_stays_readable(
    made: Station, cloud: FakeCloud, status: int, code: str
) -> None:
    await ready(made, cloud, "token")
    cloud.script("POST", CLAIM, problem(status, code=code, detail="No."))
    assert await claiming.run(made.device) is Trigger.CLAIM_FAILED
    assert made.device.journal.record.claim_token is None
    stage = asyncio.create_task(network_ready.run(made.device))
    await until(lambda: len(cloud.cards) == 1 and len(cloud.heard("POST", VALIDATE)) >= 1)
    stage.cancel()
    assert last_code(made) == code, "the station waits with its card, and the person can still read why"


async def test_a_token_whose_person_is_asked_first_goes_on_like_a_card(
    made: Station, cloud: FakeCloud
) -> None:
    """The cloud asks whether this is a new card of a station that the token's person has already."""
    await ready(made, cloud, "token")
    cloud.person_came = False

    async def ask_first(request: web.Request, body: bytes) -> web.StreamResponse:
        await cloud.honest(request, body)  # it knows the key from here on
        return web.Response(status=202, body=PENDING, content_type="application/json")

    cloud.script("POST", CLAIM, ask_first)
    assert await claiming.run(made.device) is Trigger.CLAIM_FAILED
    assert made.device.journal.record.claim_token is None, "this key has used it up"
    assert made.device.journal.record.claim_id == CLAIM_ID
    stage = asyncio.create_task(network_ready.run(made.device))
    await until(lambda: len(cloud.heard("POST", VALIDATE)) >= 1)
    cloud.person_came = True
    made.device.inbox.claim_changed()
    assert await stage is Trigger.CLAIM_STARTED
    assert await claiming.run(made.device) is Trigger.CLAIM_SUCCEEDED
    assert cloud.cards == [], "no second claim was begun"
    assert last_code(made) is None


async def test_a_challenge_that_is_too_old_leads_to_another_and_not_to_another_card(
    made: Station, cloud: FakeCloud
) -> None:
    await ready(made, cloud, "card")
    cloud.script("POST", CONFIRM, problem(401, code="REG-004", reason=errors.CHALLENGE_EXPIRED))
    assert await claiming.run(made.device) is Trigger.CLAIM_FAILED
    card = made.device.card.current()
    cloud.interval = 0
    assert await network_ready.run(made.device) is Trigger.CLAIM_STARTED
    assert await claiming.run(made.device) is Trigger.CLAIM_SUCCEEDED
    assert made.device.card.current() == card


async def test_a_person_who_is_not_there_after_all_sends_the_station_back(
    made: Station, cloud: FakeCloud
) -> None:
    await ready(made, cloud, "card")
    cloud.person_came = False
    assert await claiming.run(made.device) is Trigger.CLAIM_FAILED


async def test_credentials_are_durable_before_the_record_says_so(
    made: Station, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ready(made, cloud, "token")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("appliance.journal.write_atomically", full)
    with pytest.raises(OSError, match="No space"):
        await claiming.run(made.device)
    assert CredentialsFile(made.paths.identity).current is not None
    assert made.device.journal.record.claim_token == cloud.token


async def test_a_claim_says_nothing_secret_in_any_log(
    made: Station, cloud: FakeCloud, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await ready(made, cloud, "token")
    cloud.script("POST", CLAIM, problem(503), cut)
    await claiming.run(made.device)
    card = made.device.card.current()
    for secret in (cloud.token, card.pin, card.link_secret, "secret-device-token", HOME.passphrase or ""):
        assert secret not in caplog.text


# --- activating ---------------------------------------------------------------------------------------------


async def claimed(made: Station, cloud: FakeCloud) -> None:
    made.device.credentials.keep(from_claim(cloud.complete(), cloud.url))
    cloud.keys[made.device.key.keyid] = made.device.key.public_key


async def test_activation_applies_the_configuration_and_beats_once(made: Station, cloud: FakeCloud) -> None:
    await claimed(made, cloud)
    cloud.config_version, cloud.desired = 6, {"monitoring": {"telemetry_interval_seconds": 7}}
    assert await activating.run(made.device) is Trigger.ACTIVATED
    assert made.device.configuration.version == 6
    assert [each.config_version for each in cloud.heartbeats] == [6]


async def test_the_configuration_is_fetched_anew_whatever_came_before(
    made: Station, cloud: FakeCloud
) -> None:
    await claimed(made, cloud)
    made.device.envelope = cloud.envelope()
    cloud.config_version = 7
    assert await activating.run(made.device) is Trigger.ACTIVATED
    assert len(cloud.heard("GET", DEVICE_ID)) == 1
    assert made.device.configuration.version == 7
    assert made.device.envelope is None


@pytest.mark.parametrize("path", [f"config/{DEVICE_ID}", "heartbeat"])
@pytest.mark.parametrize("fault", [cut, problem(503), problem(429), says(200, b"<html>")])
async def test_activation_outlasts_a_cloud_that_is_away_for_a_moment(
    made: Station, cloud: FakeCloud, path: str, fault: Handler
) -> None:
    await claimed(made, cloud)
    cloud.script("POST" if path == "heartbeat" else "GET", path, fault, fault)
    assert await activating.run(made.device) is Trigger.ACTIVATED


async def test_a_configuration_that_must_be_refused_does_not_keep_the_station_from_running(
    made: Station, cloud: FakeCloud
) -> None:
    await claimed(made, cloud)
    wrong = ConfigAnswer(
        version=1, config={}, config_envelope=cloud.envelope(device_id="dev_other"), server_time=""
    )
    body = msgspec.json.encode(wrong)
    cloud.script("GET", DEVICE_ID, says(200, body, **{"Content-Type": "application/json"}))
    assert await activating.run(made.device) is Trigger.ACTIVATED
    assert (cloud.heartbeats[0].config_error or "").startswith("REG-007 wrong_device")


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_cloud_that_does_not_accept_the_station_ends_in_error_with_the_reason(
    made: Station, cloud: FakeCloud, status: int
) -> None:
    await claimed(made, cloud)
    cloud.script("GET", DEVICE_ID, problem(status, code="REG-004", detail="Not yours."))
    assert await activating.run(made.device) is Trigger.ACTIVATION_FAILED
    last = made.device.journal.record.last_error
    assert last is not None
    assert "Not yours." in last.text


async def test_activation_gives_up_after_its_tries(
    made: Station, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    await claimed(made, cloud)
    monkeypatch.setattr(activating, "TRIES", 3)
    cloud.script("GET", DEVICE_ID, *[problem(503)] * 10)
    assert await activating.run(made.device) is Trigger.ACTIVATION_FAILED
    assert len(cloud.requests) == 3
    assert last_code(made) is not None
