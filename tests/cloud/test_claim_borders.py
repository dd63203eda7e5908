"""The borders of a registration, on either database: its last second, its order, a second one, its words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from cloud.keys import CLAIMS
from cloud.security.vault import Secrets
from cloud.store import schema
from protocol.messages import (
    CameraInfo,
    ClaimComplete,
    ConfirmRequest,
    DeviceInfo,
    HardwareFingerprint,
    Location,
    NetworkInfo,
    ValidateAnswer,
)
from tests.cloud.cloud_server import Cloud, Person, running_cloud
from tests.cloud.people_parts import Clock
from tests.cloud.station_client import Reply, Station

NOBODYS = "clm_" + "0" * 26
DAY_S = 24 * 3600


@pytest.fixture
async def cloud(
    tmp_path: Path, secrets: Secrets, moved_clock: Clock, database_url: str
) -> AsyncIterator[Cloud]:
    """A cloud on each kind of database."""
    async with running_cloud(tmp_path / "cloud", secrets, moved_clock, database_url) as running:
        yield running


def count(cloud: Cloud, table: Any) -> int:
    query = select(func.count()).select_from(table)
    return cloud.database.read_now(lambda c: int(c.execute(query).scalar_one()))


def refused(reply: Reply) -> tuple[int, str | None, str | None]:
    return reply.status, reply.problem.code, reply.reason


OVER = (410, "REG-002", "claim_expired")


# --- the last second ----------------------------------------------------------------------------------------


async def by_token(ada: Person, station: Station) -> Callable[[], Awaitable[Reply]]:
    token = (await ada.token())["claim_token"]
    return lambda: station.claim_with_token(token)


async def by_registration(ada: Person, station: Station) -> Callable[[], Awaitable[Reply]]:
    token = (await ada.initiate()).read(dict[str, Any])["registrationToken"]
    return lambda: station.claim_with_token(token)


async def by_card(_: Person, station: Station) -> Callable[[], Awaitable[Reply]]:
    claim_id = await station.wait_on_card()
    return lambda: station.validate(claim_id)


async def by_named_card(ada: Person, station: Station) -> Callable[[], Awaitable[Reply]]:
    claim_id = await station.wait_on_card()
    await ada.named(short_id=station.short_id, pin=station.pin)
    return lambda: station.validate(claim_id)


async def by_old_client(ada: Person, station: Station) -> Callable[[], Awaitable[Reply]]:
    made = await ada.send("POST", "/v1/devices/registration-token")
    bearer = {"Authorization": f"Bearer {made.read(dict[str, Any])['token']}", "Cookie": ""}
    hardware = {"hardwareId": f"CPU_{station.serial}"}
    return lambda: ada.send("POST", "/api/v1/devices/register", hardware, **bearer)


LIVES = [
    (by_token, 300, 201, OVER),
    (by_registration, 900, 201, OVER),
    (by_card, 900, 202, OVER),
    (by_named_card, 900, 200, OVER),
    (by_old_client, 900, 200, (410, "REG-002", "token_expired")),
]


@pytest.mark.parametrize(("begin", "life", "status", "over"), LIVES)
async def test_the_last_second_counts_and_the_next_one_is_refused(
    cloud: Cloud, begin: Any, life: int, status: int, over: tuple[int, str, str]
) -> None:
    ada = await cloud.person()
    last, late = await begin(ada, cloud.station()), await begin(ada, cloud.station())
    cloud.clock.move(life - 1)
    assert (await last()).status == status
    before = count(cloud, schema.device)
    cloud.clock.move(2)
    assert refused(await late()) == over
    assert count(cloud, schema.device) == before


@pytest.mark.parametrize("begin", [by_token, by_registration, by_card, by_named_card])
async def test_what_ran_out_is_open_no_more_and_its_record_goes_a_day_later(cloud: Cloud, begin: Any) -> None:
    ada, claims = await cloud.person(), cloud.app[CLAIMS]
    await begin(ada, cloud.station())
    cloud.clock.move(901)
    assert await claims.open_of(ada.account_id) == []
    await claims.sweep()
    assert count(cloud, schema.claim) == 1, "its person may still read why"
    cloud.clock.move(DAY_S + 1)
    await claims.sweep()
    assert count(cloud, schema.claim) == 0


# --- progress -----------------------------------------------------------------------------------------------


async def mode_token(cloud: Cloud, ada: Person) -> AsyncIterator[str]:
    opened = await ada.token()
    yield opened["claim_id"]
    await cloud.station().claim_with_token(opened["claim_token"])
    yield opened["claim_id"]


async def mode_card(cloud: Cloud, ada: Person) -> AsyncIterator[str]:
    station = cloud.station()
    claim_id = await station.wait_on_card()
    await ada.named(short_id=station.short_id, pin=station.pin)
    yield claim_id
    challenge = (await station.validate(claim_id)).read(ValidateAnswer)
    yield claim_id
    await station.confirm(challenge, nonce="x" * 43)
    yield claim_id
    await station.confirm(challenge)
    yield claim_id


async def mode_person_first(cloud: Cloud, ada: Person) -> AsyncIterator[str]:
    station = cloud.station()
    claim_id = await ada.named(short_id=station.short_id, link_secret=station.link_secret)
    yield claim_id
    assert await station.wait_on_card() == claim_id
    yield claim_id
    await station.finish(claim_id)
    yield claim_id


async def mode_said_key(cloud: Cloud, ada: Person) -> AsyncIterator[str]:
    station = cloud.station()
    said = {"stations": [{"keyid": station.keyid}]}
    assert (await ada.send("POST", "/v1/devices/preauthorize", said)).status == 201
    query = select(schema.claim.c.id)
    claim_id = cloud.database.read_now(lambda c: str(c.execute(query).scalar_one()))
    yield claim_id
    assert (await station.send("POST", "/v1/devices/claim", station.claim_request())).status == 201
    yield claim_id


@pytest.mark.parametrize("mode", [mode_token, mode_card, mode_person_first, mode_said_key])
async def test_progress_grows_to_a_hundred_and_never_falls(cloud: Cloud, mode: Any) -> None:
    ada, seen = await cloud.person(), []
    with cloud.bus.subscribe(ada.account_id) as subscription:
        async for claim_id in mode(cloud, ada):
            seen.append((await ada.claim_status(claim_id))["progress"])
        cloud.clock.move(901)
        await cloud.app[CLAIMS].sweep()
        seen.append((await ada.claim_status(claim_id))["progress"])
        told = []
        async for news in subscription:
            told += [news.data["progress"]] if news.data.get("claim_id") == claim_id else []
            if told and told[-1] == 100:
                break
    assert seen == sorted(seen)
    assert seen[-1] == 100
    assert told == sorted(told)


async def test_a_claim_that_runs_out_keeps_the_progress_it_had(cloud: Cloud) -> None:
    ada, station = await cloud.person(), cloud.station()
    claim_id = await station.wait_on_card()
    await ada.named(short_id=station.short_id, pin=station.pin)
    before = await ada.claim_status(claim_id)
    cloud.clock.move(901)
    after = await ada.claim_status(claim_id)
    assert (after["status"], after["progress"]) == ("expired", before["progress"])


# --- a second registration ----------------------------------------------------------------------------------


async def test_another_person_with_the_same_hardware_is_refused_and_told_nothing(cloud: Cloud) -> None:
    ada, eve = await cloud.person("ada@example.org"), await cloud.person()
    station = cloud.station()
    first = await station.claim_with_token((await ada.token(name="Ada's roof"))["claim_token"])
    station.take(first)
    opened = await eve.token()
    again = await station.claim_with_token(opened["claim_token"])
    assert refused(again) == (409, "REG-003", "already_registered")
    status = await eve.send("GET", f"/v1/devices/claim-status/{opened['claim_id']}")
    for told in (again.body, status.body):
        for secret in (station.device_id, "Ada's roof", "ada@example.org", ada.account_id):
            assert secret.encode() not in told
    assert again.problem.device is None
    assert count(cloud, schema.device) == 1


async def test_the_same_person_with_the_same_key_gets_the_station_that_is_there(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    again = await station.claim_with_token((await ada.token())["claim_token"])
    assert (again.status, again.read(ClaimComplete).device_id) == (201, station.device_id)
    card = await station.claim_with_card()
    assert (card.status, card.read(ClaimComplete).device_id) == (200, station.device_id)
    assert count(cloud, schema.device) == 1


async def test_without_a_key_a_second_registration_is_refused_with_ones_own_station_alone(
    cloud: Cloud,
) -> None:
    ada, eve = await cloud.person(), await cloud.person()
    hers = await by_old_client(ada, station := cloud.station())
    made = (await hers()).read(dict[str, Any])["device"]
    again = await hers()
    assert refused(again) == (409, "REG-003", "already_registered")
    assert (again.problem.device or {})["id"] == made["id"]
    other = await (await by_old_client(eve, station))()
    assert made["id"].encode() not in other.body
    assert ada.account_id.encode() not in other.body


async def test_a_used_code_is_refused_to_every_other_key_also_on_the_same_hardware(cloud: Cloud) -> None:
    ada, twin = await cloud.person(), cloud.station()
    station, token = cloud.station(), (await ada.token())["claim_token"]
    twin.serial = station.serial
    station.take(await station.claim_with_token(token))
    reply = await twin.claim_with_token(token)
    assert refused(reply) == (409, "REG-003", "already_registered")
    assert station.device_id.encode() not in reply.body


# --- order --------------------------------------------------------------------------------------------------


async def confirm(station: Station, claim_id: str) -> Reply:
    """A confirmation that nobody asked for."""
    unasked = ConfirmRequest(
        claim_id=claim_id, challenge_id="chl_" + "0" * 26, nonce="x" * 43, csr=station.csr()
    )
    return await station.send("POST", "/v1/devices/register/confirm", unasked)


async def test_each_step_alone_is_refused(cloud: Cloud) -> None:
    ada, station = await cloud.person(), cloud.station()
    assert refused(await station.validate(NOBODYS)) == (404, None, "not_found")
    assert refused(await confirm(station, NOBODYS)) == (404, None, "not_found")
    assert refused(await ada.initiate(claim_id=NOBODYS)) == (404, None, "not_found")
    assert refused(await ada.initiate(action="deny", claim_id=NOBODYS)) == (404, None, "not_found")
    assert refused(await ada.initiate(action="deny")) == (422, "REG-007", "invalid")
    assert count(cloud, schema.device) == 0


async def test_steps_out_of_order_are_refused(cloud: Cloud) -> None:
    ada, station = await cloud.person(), cloud.station()
    claim_id = await station.wait_on_card()
    assert refused(await confirm(station, claim_id)) == (401, "REG-004", "challenge_expired")
    assert refused(await ada.initiate(claim_id=claim_id)) == (404, None, "not_found"), "not hers yet"
    await ada.named(short_id=station.short_id, pin=station.pin)
    assert refused(await confirm(station, claim_id)) == (401, "REG-004", "challenge_expired")
    assert count(cloud, schema.device) == 0
    await station.finish(claim_id)


async def test_steps_that_are_repeated_change_nothing(cloud: Cloud) -> None:
    ada, station = await cloud.person(), cloud.station()
    claim_id = await station.wait_on_card()
    assert (await station.validate(claim_id)).status == 202
    assert refused(await station.validate(claim_id)) == (429, "REG-006", "slow_down")
    named = [await ada.named(short_id=station.short_id, pin=station.pin) for _ in range(2)]
    assert named == [claim_id, claim_id]
    challenge = (await station.validate(claim_id)).read(ValidateAnswer)
    first, again = await station.confirm(challenge), await station.confirm(challenge)
    assert (first.status, again.status) == (201, 200)
    assert first.read(ClaimComplete).device_certificate == again.read(ClaimComplete).device_certificate
    assert count(cloud, schema.device) == 1
    cloud.clock.move(901)
    assert refused(await station.confirm(challenge)) == OVER
    assert (await station.claim_with_card()).status == 200, "by its key it has its answer at any time"


async def test_after_a_refusal_every_step_says_so(cloud: Cloud) -> None:
    ada, station = await cloud.person(), cloud.station()
    claim_id = await station.wait_on_card()
    await ada.named(short_id=station.short_id, pin=station.pin)
    challenge = (await station.validate(claim_id)).read(ValidateAnswer)
    assert (await ada.initiate(action="deny", claim_id=claim_id)).status == 200
    assert refused(await station.validate(claim_id)) == (403, None, "claim_denied")
    assert refused(await station.confirm(challenge)) == (403, None, "claim_denied")
    assert count(cloud, schema.device) == 0


# --- the words of the answers -------------------------------------------------------------------------------

WORDS = {
    "claim-token": "claim_token claim_id expires_in expires_at fallback_pin qr_code_url websocket_url",
    "claim": "device_id device_token device_certificate private_key ca_certificate api_endpoints"
    " initial_config registration_complete",
    "api_endpoints": "events telemetry config heartbeat commands",
    "claim-status": "status device_id device_name progress error expires_at",
    "initiate": "registrationToken deviceId expiresAt validationEndpoint localConfig",
    "heartbeat": "status server_time commands config_updates next_heartbeat_in warnings recommendations",
    "event": "event_id status",
    "register": "message device",
    "registered": "id userProfileId hardwareId status registeredAt",
}


async def test_the_answers_have_the_words_that_clients_look_for(cloud: Cloud) -> None:
    ada, station = await cloud.person(), cloud.station()
    opened = await ada.token(registration_type="qr_code", device_type="camera", expires_in=300)
    told = station.claim_request(
        claim_token=opened["claim_token"],
        hardware_fingerprint=HardwareFingerprint(
            cpu_id="c",
            board_serial="b",
            mac_addresses=["dc:a6:32:0a:0b:0c"],
            disk_uuid="d",
            tmp_attestation="t",
        ),
        device_info=DeviceInfo(
            model="m",
            firmware_version="1",
            hardware_revision="r",
            capabilities=["events"],
            total_memory=1,
            total_storage=2,
            camera_info=CameraInfo(model="imx290", resolution="1920x1080", frame_rate=25),
        ),
        location=Location(latitude=1, longitude=2, altitude=3, accuracy=4, source="gps"),
        network_info=NetworkInfo(
            local_ip="192.0.2.1", mac_address="m", connection_type="wifi", signal_strength=-60
        ),
    )
    reply = await station.send("POST", "/v1/devices/claim", told)
    assert reply.status == 201, reply
    station.take(reply)
    claimed = reply.read(dict[str, Any])
    registered = (await (await by_old_client(ada, cloud.station()))()).read(dict[str, Any])
    answers = {
        "claim-token": opened,
        "claim": claimed,
        "api_endpoints": claimed["api_endpoints"],
        "claim-status": await ada.claim_status(opened["claim_id"]),
        "initiate": (await ada.initiate()).read(dict[str, Any]),
        "heartbeat": (await station.beat()).read(dict[str, Any]),
        "event": (await station.report(station.event())).read(dict[str, Any]),
        "register": registered,
        "registered": registered["device"],
    }
    missing = {name: set(words.split()) - set(answers[name]) for name, words in WORDS.items()}
    assert {name: words for name, words in missing.items() if words} == {}
    assert claimed["registration_complete"] is True
    assert claimed["private_key"] is None
