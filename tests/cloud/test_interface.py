"""The interface as a whole: every route guarded and documented, errors of one shape, tenants kept apart."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from sqlalchemy import select

from cloud import keys
from cloud.api.openapi import plain_path
from cloud.api.routing import Guard, Route
from cloud.api.table import ROUTES
from cloud.errors import StoreError
from cloud.store.schema import certificate
from protocol.codes import ulid, uuid7
from protocol.errors import Problem, Refusal
from tests.cloud.cloud_server import Cloud
from tests.cloud.station_client import Reply, Station

PUBLIC = {
    ("GET", "/health"),
    ("GET", "/crl"),
    ("GET", "/.well-known/security.txt"),
    ("GET", "/time"),
    ("GET", "/v1/keys"),
    ("GET", "/v1/jwks"),
    ("GET", "/v1/openapi.json"),
    ("OPTIONS", "/v1/devices/{device_id}/uploads"),
}
SAMPLES = {
    "device_id": "dev_" + "0" * 26,
    "claim_id": "clm_" + "0" * 26,
    "upload_id": "upl_" + "0" * 26,
    "event_id": uuid7(0),
    "sha256": "0" * 64,
    "member_id": "usr_" + "0" * 26,
    "invitation_id": "inv_" + "0" * 26,
    "batch_id": "bat_" + "0" * 26,
    "message_id": "reg_" + "0" * 26,
    "serial": "0" * 32,
    "account_id": "usr_" + "0" * 26,
    "token_id": "tok_" + "0" * 26,
}
GONE_FOR_ADA_TOO = {
    "/v1/devices/{device_id}/replacements/{claim_id}",
    "/v1/devices/registrations/{message_id}/retry",
}
"""Answers 404 to the owner as well, unless a new card asks, or a message is dead."""


def filled(route: Route) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: SAMPLES[match[1]], plain_path(route.path))


def served(cloud: Cloud) -> set[tuple[str, str]]:
    """What the router really knows under /v1 and /health."""
    found = set()
    for route in cloud.app.router.routes():
        path = plain_path(str(route.resource.canonical)) if route.resource else ""
        if path.startswith(("/v1", "/api/", "/health", "/crl", "/time", "/.well-known")):
            found.add((route.method, path))
    return found


async def document(cloud: Cloud) -> dict[str, Any]:
    async with cloud.session.get(f"{cloud.base}/v1/openapi.json") as reply:
        assert reply.content_type == "application/json"
        found: dict[str, Any] = await reply.json()
        return found


async def test_the_document_is_valid_openapi(cloud: Cloud) -> None:
    found = await document(cloud)
    assert found["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(found).validate()


async def test_every_route_is_documented_and_every_documented_one_exists(cloud: Cloud) -> None:
    found = await document(cloud)
    documented = {(method.upper(), path) for path, item in found["paths"].items() for method in item}
    assert documented == served(cloud) == {(route.method, plain_path(route.path)) for route in ROUTES}


async def test_the_document_says_who_may_call(cloud: Cloud) -> None:
    found = await document(cloud)
    for route in ROUTES:
        operation = found["paths"][plain_path(route.path)][route.method.lower()]
        assert (operation["security"] == []) is (route.guard is Guard.PUBLIC)


def test_only_these_routes_are_public() -> None:
    public = {(route.method, plain_path(route.path)) for route in ROUTES if route.guard is Guard.PUBLIC}
    assert public == PUBLIC


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if route.guard is not Guard.PUBLIC],
    ids=lambda r: f"{r.method} {r.path}",
)
async def test_nobody_gets_in_without_a_proof(cloud: Cloud, route: Route) -> None:
    kinds: tuple[dict[str, str], ...] = (
        {},
        {"Cookie": "session=guessed"},
        {"Authorization": "Bearer x"},
        {"Signature-Input": "meteor=()", "Signature": "meteor=:AAAA:"},
    )
    for headers in kinds:
        body = json.dumps(sample_body(route, cloud.station())) if route.body else None
        async with cloud.session.request(
            route.method, cloud.base + filled(route), headers=headers, data=body
        ) as reply:
            assert reply.status == 401, await reply.text()


def sample_body(route: Route, station: Station) -> dict[str, Any]:
    """A readable message, so that the guard and not the schema refuses."""
    if route.path.endswith("/claim"):
        sample: dict[str, Any] = msgspec.to_builtins(station.card_request())
        return sample
    claim: dict[str, Any] = {"claim_id": SAMPLES["claim_id"]}
    if route.path.endswith("confirm"):
        return claim | {"challenge_id": "x", "nonce": "x", "csr": station.csr()}
    return claim


async def test_a_person_needs_the_csrf_token_and_our_origin_to_change_anything(cloud: Cloud) -> None:
    ada = await cloud.person()
    for route in ROUTES:
        if route.guard is Guard.PERSON and route.method != "GET":
            for headers in ({"X-CSRF-Token": "wrong"}, {"Origin": "https://evil.example"}):
                reply = await ada.send(route.method, filled(route), {}, **headers)
                assert reply.status == 403, route


# --- tenants; what persons get at every route is in `test_matrix` -------------------------------------------


class Batch(msgspec.Struct):
    """What is needed of a batch's answer."""

    batch_id: str


def body_for(route: Route) -> dict[str, Any]:
    """Something that the route can read."""
    if "commands" in route.path:
        return {"type": "restart"}
    return {"accept": False} if "replacements" in route.path else {"name": "Mine now"}


async def serial_of(cloud: Cloud, station: Station) -> str:
    query = select(certificate.c.serial).where(certificate.c.device_id == station.device_id)
    return str(await cloud.database.read(lambda c: c.execute(query).scalar_one()))


async def test_a_station_sees_and_changes_nothing_of_another(cloud: Cloud) -> None:
    ada, eve = await cloud.person(), await cloud.person()
    station, thief = await cloud.claimed(ada), await cloud.claimed(eve)
    file = b"picture"
    await station.reported(station.event(file))
    location = (await station.create_upload(file)).headers["Location"]
    calls: dict[str, Callable[[Station], Awaitable[Reply]]] = {
        "heartbeat": lambda s: s.beat(),
        "events": lambda s: s.report(s.event()),
        "config": lambda s: s.send("GET", f"{s.place}/config"),
        "config alias": lambda s: s.send("GET", f"/v1/devices/config/{s.device_id}"),
        "commands": lambda s: s.send("GET", f"{s.place}/commands"),
        "telemetry": lambda s: s.send("POST", f"{s.place}/telemetry", b"{}"),
        "create": lambda s: s.create_upload(file),
        "patch": lambda s: s.patch(location, 0, file),
    }
    own = thief.device_id
    for name, call in calls.items():
        thief.device_id = station.device_id
        foreign = await call(thief)
        thief.device_id = ulid("dev_", 0)
        unknown = await call(thief)
        assert foreign.status == unknown.status == 404, name
        assert same(foreign.problem) == same(unknown.problem)
    thief.device_id = own
    assert (await thief.send("HEAD", location)).status == 404
    assert (await station.offset(location)) == 0


def same(problem: Problem) -> tuple[Any, ...]:
    return (problem.title, problem.status, problem.detail, problem.code, problem.reason, problem.device)


# --- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/", 404),
        ("GET", "/v1/devices/%00", 400),
        ("DELETE", "/v1/devices", 405),
        ("PUT", "/health", 405),
    ],
)
async def test_what_the_router_refuses_has_the_same_shape(
    cloud: Cloud, method: str, path: str, status: int
) -> None:
    async with cloud.session.request(method, cloud.base + path) as reply:
        assert (reply.status, reply.content_type) == (status, "application/problem+json")
        body = await reply.json()
        assert body["status"] == status
        assert body["correlation_id"] == reply.headers["X-Request-Id"]
        assert ("Allow" in reply.headers) is (status == 405)


async def test_every_answer_says_when_and_for_which_request(cloud: Cloud) -> None:
    for path in ("/health", "/v1/nothing", "/v1/devices", "/", "/sign-in"):
        async with cloud.session.get(cloud.base + path, allow_redirects=False) as reply:
            assert reply.headers["Date"]
            assert re.fullmatch(r"[0-9a-f]{16}", reply.headers["X-Request-Id"])


@pytest.mark.parametrize(
    ("given", "kept"), [("trace-1234", True), ("x", False), ("a b" * 5, False), ("x" * 65, False)]
)
async def test_a_callers_request_id_is_kept_when_it_can_be_one(cloud: Cloud, given: str, kept: bool) -> None:
    async with cloud.session.get(f"{cloud.base}/health", headers={"X-Request-Id": given}) as reply:
        assert (reply.headers["X-Request-Id"] == given) is kept


async def test_a_failing_store_is_reg_009(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    station = await cloud.claimed(await cloud.person())

    def broken(_work: object) -> None:
        raise StoreError("The store failed: disk I/O error.")

    monkeypatch.setattr(cloud.database, "write", broken)
    reply = await station.beat()
    assert (reply.status, reply.problem.code) == (503, "REG-009")
    assert "disk I/O" not in reply.body.decode()


async def test_an_unexpected_error_is_one_log_record_and_tells_nothing(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    station = await cloud.claimed(await cloud.person())

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a secret detail")

    monkeypatch.setattr(cloud.app[keys.HEARTBEATS], "_keep", broken)
    caplog.clear()
    reply = await station.beat()
    assert (reply.status, reply.problem.title) == (500, "Unexpected error")
    assert "secret" not in reply.body.decode()
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.name for record in errors] == ["cloud.requests"]


async def test_the_log_shows_no_secret(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "cloud")
    ada, station = await cloud.person(), cloud.station()
    token = (await ada.token())["claim_token"]
    claim_id = await station.wait_on_card()
    await ada.initiate(short_id=station.short_id, pin="000000")
    await ada.named(short_id=station.short_id, link_secret=station.link_secret)
    complete = await station.finish(claim_id)
    await cloud.station().claim_with_token(token)
    async with cloud.session.get(f"{cloud.base}/v1/nothing?token={token}"):
        pass
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert "/v1/devices/claim" in logged
    session = re.search(r"session=([^;]+)", ada.headers["Cookie"])
    assert session
    for secret in (token, station.pin, station.link_secret, complete.device_token, session[1]):
        assert secret not in logged


async def test_health_says_which_part_fails(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    async with cloud.session.get(f"{cloud.base}/health") as reply:
        assert (reply.status, (await reply.json())["status"]) == (200, "ok")

    async def broken(_work: object) -> None:
        raise StoreError("The store failed: host db.internal refused the password.")

    monkeypatch.setattr(cloud.database, "write", broken)
    monkeypatch.setattr(cloud.app[keys.MEDIA_FILES], "_min_free", 10**18)
    async with cloud.session.get(f"{cloud.base}/health") as reply:
        body = await reply.json()
    assert (reply.status, body["status"]) == (503, "failed")
    assert {name: check["status"] for name, check in body["checks"].items()} == {
        "database": "failed",
        "disk": "failed",
    }
    assert "db.internal" not in json.dumps(body)


@pytest.mark.parametrize("kind", ["announced", "chunked"])
async def test_a_body_beyond_its_limit_is_refused_while_it_arrives(cloud: Cloud, kind: str) -> None:
    async def endless() -> Any:
        for _ in range(2000):
            yield b"x" * 1024

    headers = {"Content-Type": "application/json"}
    data: Any = b"x" * 2_000_000 if kind == "announced" else endless()
    async with cloud.session.post(f"{cloud.base}/v1/devices/claim", data=data, headers=headers) as reply:
        assert (reply.status, (await reply.json())["reason"]) == (413, "too_large")


async def test_who_goes_away_in_the_middle_of_a_body_is_no_error_of_ours(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    _, writer = await asyncio.open_connection(cloud.settings.host, cloud.settings.port)
    head = "POST /v1/devices/claim HTTP/1.1\r\nHost: cloud\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: 1000\r\n\r\n{{".encode())
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.transport.abort()
    async with asyncio.timeout(30):
        while "of its body" not in caplog.text:  # noqa: ASYNC110 - the log has no event
            await asyncio.sleep(0.05)
    assert "unexpected" not in caplog.text


async def test_a_form_of_another_site_is_no_json(cloud: Cloud) -> None:
    ada = await cloud.person()
    headers = {"Content-Type": "text/plain"}
    reply = await ada.send("POST", "/v1/devices/claim-token", b"{}", **headers)
    assert reply.status == 415


async def test_mutated_messages_are_refused_and_never_break_the_server(cloud: Cloud) -> None:
    """Bytes flipped, cut, doubled and swapped in signed messages: only answers below 500."""
    station, dice = await cloud.claimed(await cloud.person()), random.Random(7)
    cloud.app[keys.HEARTBEATS]._rate = cloud.app[keys.HEARTBEATS]._rate.__class__(10**6, 1, 10**6)
    beat = b'{"uptime":1,"boot_id":"b","seq":1,"state":"operational","command_acks":[]}'
    messages = {
        f"{station.place}/heartbeat": beat,
        f"{station.place}/events": msgspec.json.encode(station.event(b"x", metadata={"a": [1, {"b": None}]})),
        "/v1/devices/claim": msgspec.json.encode(station.card_request()),
        "/v1/devices/register/validate": b'{"claim_id":"clm_%b"}' % (b"0" * 26),
    }
    statuses = set()
    for path, message in messages.items():
        for _ in range(60):
            reply = await station.send("POST", path, mutated(message, dice))
            statuses.add(reply.status)
    assert max(statuses) < 500, statuses
    assert 422 in statuses


def mutated(message: bytes, dice: random.Random) -> bytes:
    data = bytearray(message)
    for _ in range(dice.randint(1, 4)):
        place = dice.randrange(len(data))
        match dice.randrange(5):
            case 0:
                data[place] = dice.randrange(256)
            case 1:
                del data[place:]
            case 2:
                data[place:place] = dice.choice(
                    [b"\\u0000", b"\xff", b"null", b"1e999", b"-", b"[[[", b"9" * 40, b'"', b"\\ud800"]
                )
            case 3:
                data[place:place] = data[place : place + 20]
            case _:
                data = data.replace(b'"', b"'", 1)
        data = data or bytearray(b"{")
    return bytes(data)


async def test_the_demanded_columns_hold_what_messages_may_carry(cloud: Cloud) -> None:
    """The longest texts that the messages allow are stored, not refused by the database."""
    ada, station = await cloud.person(), cloud.station()
    claim = station.card_request(hardware_id="H" * 80, boot_id="b" * 200)
    assert (await station.send("POST", "/v1/devices/claim", claim)).status == 202
    await ada.named(short_id=station.short_id, pin=station.pin, name="\u00e4" * 80)
    await station.finish((await station.claim_with_card()).read(dict[str, Any])["claim_id"])
    reply = await station.beat("s" * 200, boot_id="b" * 200, config_error="e" * 200)
    assert reply.status == 200
    event = station.event(client_event_id="c" * 200, event_type="t" * 40, revision=2**31 - 1)
    assert (await station.report(event)).status == 201


async def test_limits_forget_who_has_waited(cloud: Cloud) -> None:
    from cloud.security.limits import Limits
    from protocol.limits import Rate

    now = 0.0
    limits, rate = Limits(lambda: now), Rate(2, 10, 2)
    for key in ("a", "b"):
        await limits.take("x", key, rate)
    with pytest.raises(Refusal) as refused:
        for _ in range(2):
            await limits.take("x", "a", rate)
    assert refused.value.retry_after == 5
    await limits.take("y", "a", rate)
    now = 10.0
    limits.forget_idle()
    assert limits._buckets == {}
    await limits.take("x", "a", rate)
