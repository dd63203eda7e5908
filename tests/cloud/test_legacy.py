"""The older ways to register, the long poll, and the ten codes of registration, each reached once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import update

from cloud.errors import StoreError
from cloud.registry import queue
from cloud.store import schema
from protocol.errors import CODES
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.station_client import Reply


@pytest.fixture
async def ada(cloud: Cloud) -> Person:
    return await cloud.person()


async def jwt_of(person: Person) -> str:
    reply = await person.send("POST", "/v1/devices/registration-token")
    assert reply.status == 201
    return str(reply.read(dict[str, Any])["token"])


async def register(cloud: Cloud, token: str, hardware_id: str = "CPU_00000000a1b2c3d4") -> Reply:
    async with cloud.session.post(
        f"{cloud.base}/api/v1/devices/register",
        json={"hardwareId": hardware_id},
        headers={"Authorization": f"Bearer {token}"},
    ) as reply:
        return Reply(reply.status, reply.headers, await reply.read())


# --- the first edge client ----------------------------------------------------------------------------------


async def test_the_first_edge_client_gets_exactly_its_answer(cloud: Cloud, ada: Person) -> None:
    reply = await register(cloud, await jwt_of(ada))
    assert reply.status == 200
    body = reply.read(dict[str, Any])
    assert set(body) == {"message", "device"}
    assert body["message"] == "Device registered successfully"
    assert list(body["device"]) == ["id", "userProfileId", "hardwareId", "status", "registeredAt"]
    assert body["device"]["userProfileId"] == ada.account_id
    assert body["device"]["hardwareId"] == "CPU_00000000a1b2c3d4"
    assert body["device"]["status"] == "active"
    assert body["device"]["registeredAt"].endswith("Z")
    listed = (await ada.send("GET", "/v1/devices")).read(dict[str, Any])["devices"]
    assert [each["id"] for each in listed] == [body["device"]["id"]]


async def test_the_same_hardware_again_is_reg_003_with_its_device_and_tells_strangers_nothing(
    cloud: Cloud, ada: Person
) -> None:
    eve = await cloud.person()
    first = (await register(cloud, await jwt_of(ada))).read(dict[str, Any])["device"]
    again = await register(cloud, await jwt_of(ada))
    assert (again.status, again.problem.code) == (409, "REG-003")
    assert again.problem.device is not None and again.problem.device["id"] == first["id"]
    other = await register(cloud, await jwt_of(eve))
    assert other.status == 200
    assert first["id"] not in other.body.decode()


async def test_a_legacy_station_becomes_a_real_one_by_its_owners_yes(cloud: Cloud, ada: Person) -> None:
    card = cloud.station()
    known = (await register(cloud, await jwt_of(ada), f"CPU_{card.serial}")).read(dict[str, Any])["device"]
    made = (await ada.send("POST", "/v1/devices/batches", {"stations": [{"device_id": known["id"]}]})).read(
        dict[str, Any]
    )
    card.take(await card.claim_with_token(made["stations"][0]["claim_token"]))
    assert card.device_id == known["id"]
    assert (await card.beat()).status == 200


@pytest.mark.parametrize("how", ["nonsense", "claim token", "device token", "old", "none"])
async def test_only_a_fresh_registration_token_registers(cloud: Cloud, ada: Person, how: str) -> None:
    token, status, code = "x.y.z", 401, "REG-004"
    if how == "claim token":
        token = (await ada.token())["claim_token"]
    if how == "device token":
        station = cloud.station()
        reply = await station.claim_with_token((await ada.token())["claim_token"])
        token = station.take(reply).device_token
    if how == "old":
        token, status, code = await jwt_of(ada), 410, "REG-002"
        cloud.clock.move(900)
    if how == "none":
        reply = await ada.send("POST", "/api/v1/devices/register", {"hardwareId": "CPU_1"})
        assert (reply.status, reply.reason) == (401, "sign_in")
        return
    reply = await register(cloud, token)
    assert (reply.status, reply.problem.code) == (status, code)


async def test_a_registration_token_opens_no_other_door(cloud: Cloud, ada: Person) -> None:
    headers = {"Authorization": f"Bearer {await jwt_of(ada)}"}
    for method, path in (("GET", "/v1/devices"), ("POST", "/v1/devices/claim-token")):
        async with cloud.session.request(method, cloud.base + path, headers=headers, json={}) as reply:
            assert reply.status == 401


# --- name and place -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "name"), [("lab", "test, lab"), ({"latitude": 47.0, "longitude": 8.0}, "test"), (None, "test")]
)
async def test_name_and_place_open_a_claim_with_a_token(
    cloud: Cloud, ada: Person, place: Any, name: str
) -> None:
    body = {"name": "test"} | ({} if place is None else {"location": place})
    reply = await ada.send("POST", "/v1/devices/register", body)
    assert reply.status == 201
    station = cloud.station()
    done = await station.claim_with_token(reply.read(dict[str, Any])["registrationToken"])
    assert station.take(done).device_name == name


# --- long poll ----------------------------------------------------------------------------------------------


async def test_a_long_poll_answers_at_the_change(cloud: Cloud, ada: Person) -> None:
    station, made = cloud.station(), await ada.token()
    path = f"/v1/devices/claim-status/{made['claim_id']}?wait=25"
    asking = asyncio.create_task(ada.send("GET", path))
    await asyncio.sleep(0.2)
    assert not asking.done()
    assert (await station.claim_with_token(made["claim_token"])).status == 201
    assert (await asking).read(dict[str, Any])["status"] == "success"
    assert (await ada.send("GET", path)).read(dict[str, Any])["status"] == "success", (
        "nothing more to wait for"
    )


async def test_a_long_poll_ends_by_itself_and_is_for_the_claims_own_people(cloud: Cloud, ada: Person) -> None:
    eve, made = await cloud.person(), await ada.token()
    path = f"/v1/devices/claim-status/{made['claim_id']}"
    assert (await ada.send("GET", f"{path}?wait=1")).read(dict[str, Any])["status"] == "pending"
    assert (await eve.send("GET", f"{path}?wait=20")).status == 404
    assert (await ada.send("GET", f"{path}?wait=soon")).problem.field == "$.wait"


# --- the ten codes ------------------------------------------------------------------------------------------


async def reached(cloud: Cloud, ada: Person, code: str, monkeypatch: pytest.MonkeyPatch) -> Reply:
    """An answer with this code, as its cause makes it."""
    station = cloud.station()
    match code:
        case "REG-001":
            body = station.claim_request(claim_token="mct_" + "A" * 43, csr="no certificate request")
            return await station.send("POST", "/v1/devices/claim", body)
        case "REG-002":
            token = (await ada.token())["claim_token"]
            cloud.clock.move(301)
            return await station.claim_with_token(token)
        case "REG-003":
            token = (await ada.token())["claim_token"]
            await cloud.station().claim_with_token(token)
            return await station.claim_with_token(token)
        case "REG-004":
            return await station.claim_with_token("mct_" + "A" * 43)
        case "REG-006":
            for _ in range(5):
                await ada.token()
            return await ada.send("POST", "/v1/devices/claim-token", {})
        case "REG-007":
            return await ada.send("POST", "/v1/devices/claim-token", {"expires_in": "soon"})
        case "REG-008":
            token = (await ada.token(expires_in=300))["claim_token"]
            cloud.clock.move(6 * 365 * 86_400)
            change = update(schema.claim).values(expires=cloud.clock.now_ms + 300_000)
            await cloud.database.write(lambda c: c.execute(change).close())
            return await station.claim_with_token(token)
        case "REG-009":

            async def broken(_fn: Any) -> Any:
                raise StoreError("The disk is full.")

            monkeypatch.setattr(cloud.database, "write", broken)
            return await ada.send("POST", "/v1/devices/claim-token", {})
        case "REG-010":
            monkeypatch.setattr(queue.put, "__defaults__", (0,))
            return await ada.send("POST", "/v1/devices/claim-token", {})
    raise AssertionError(code)


@pytest.mark.parametrize("code", [code for code in CODES if code != "REG-005"])
async def test_each_code_of_registration_is_reached_and_says_what_to_do(
    cloud: Cloud, ada: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REG-005 is the station's own word for a cloud that it cannot reach (tests/appliance)."""
    reply = await reached(cloud, ada, code, monkeypatch)
    problem = reply.problem
    assert (problem.code, reply.status) == (code, CODES[code].status), problem
    assert problem.title == CODES[code].title
    assert len(problem.detail) > 10
    assert problem.user_action == CODES[code].user_action
    assert problem.system_action == CODES[code].system_action


# --- three words --------------------------------------------------------------------------------------------


async def test_no_way_to_claim_does_without_a_code_of_the_station(cloud: Cloud, ada: Person) -> None:
    """Three words are compared only where neither QR code nor PIN was used; there is no such way, and a
    short id alone leads nowhere."""
    station = cloud.station()
    await station.wait_on_card()
    reply = await ada.initiate(short_id=station.short_id)
    assert (reply.status, reply.problem.field) == (422, "$.pin")
