"""Stations at the WebSocket: a token counts only with the key it names, and ends when it should."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType
from cryptography.hazmat.primitives.asymmetric import ec

from cloud import keys
from cloud.realtime import stations
from cloud.registry.revocations import revoke_all
from cloud.registry.tokens import DeviceTokens
from cloud.security.token_standing import deny, forget_ended
from cloud.security.vault import Secrets
from cloud.store import schema
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.station_client import Station
from tests.cloud.test_authority import hmac_token

PATH = "/device-realtime"


async def opened(station: Station) -> ClientWebSocketResponse:
    return await station.session.ws_connect(station.base + PATH, headers=station.signed("GET", PATH))


async def told(socket: ClientWebSocketResponse, event: str, **data: Any) -> None:
    await socket.send_str(json.dumps({"event": event, "id": 1, "data": data}))


async def ended(socket: ClientWebSocketResponse) -> int | None:
    """The close code."""
    async with asyncio.timeout(60):
        while (await socket.receive()).type is WSMsgType.TEXT:
            pass
    return socket.close_code


async def event(socket: ClientWebSocketResponse) -> str:
    async with asyncio.timeout(60):
        return str((await socket.receive_json())["event"])


async def with_token(cloud: Cloud, owner: Person) -> tuple[Station, str]:
    station = cloud.station()
    reply = await station.claim_with_token((await owner.token())["claim_token"])
    return station, station.take(reply).device_token if reply.status == 201 else ""


async def connected(station: Station, token: str) -> ClientWebSocketResponse:
    socket = await opened(station)
    await told(socket, "auth", token=token)
    assert await event(socket) == "authenticated"
    assert await event(socket) == "config-updated"  # it never said which one it has
    return socket


async def test_the_token_of_the_claim_and_a_fresh_one_open_the_socket(cloud: Cloud) -> None:
    station, token = await with_token(cloud, await cloud.person())
    socket = await connected(station, token)
    await told(socket, "ping")
    assert await event(socket) == "pong"
    await told(socket, "devices-status")
    assert await event(socket) == "error"
    await socket.close()
    reply = await station.send("POST", f"{station.place}/token")
    fresh = reply.read(dict[str, Any])
    assert (reply.status, fresh["expires_in"]) == (200, 3600)
    await (await connected(station, fresh["device_token"])).close()


async def test_a_connection_that_is_not_signed_is_none(cloud: Cloud) -> None:
    station, _ = await with_token(cloud, await cloud.person())
    headers = station.signed("GET", PATH)
    for spoiled in (headers | {"signature": "meteor=:AAAA:"}, headers):
        if spoiled is headers:
            await (await station.session.ws_connect(station.base + PATH, headers=headers)).close()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await station.session.ws_connect(station.base + PATH, headers=spoiled)
        assert refused.value.status == 401


def forged(good: str, secrets: Secrets, person: Person) -> dict[str, str]:
    """Tokens that prove nothing, by what is wrong with them."""
    claims: dict[str, Any] = jwt.decode(good, options={"verify_signature": False})
    tokens, key = DeviceTokens(secrets.token_key), secrets.token_key
    header = {"typ": "device+jwt", "kid": tokens.kid}
    head, body, mac = good.split(".")
    return {
        "alg none": jwt.encode(claims, "", "none", headers=header),
        "shared secret": hmac_token(claims, json.dumps(tokens.jwks()).encode(), tokens.kid),
        "another typ": jwt.encode(claims, key, "ES256", headers=header | {"typ": "JWT"}),
        "another aud": jwt.encode(claims | {"aud": "meteor-user"}, key, "ES256", headers=header),
        "another signer": jwt.encode(
            claims, ec.generate_private_key(ec.SECP256R1()), "ES256", headers=header
        ),
        "tampered": f"{head}.{body[:-2]}{'AA' if body[-2:] != 'AA' else 'BB'}.{mac}",
        "ended": jwt.encode(claims | {"exp": claims["iat"] - 1}, key, "ES256", headers=header),
        "not yet": jwt.encode(claims | {"nbf": claims["exp"]}, key, "ES256", headers=header),
        "another epoch": jwt.encode(claims | {"epoch": 2}, key, "ES256", headers=header),
        "a person's": person.headers["Cookie"].partition("=")[2],
        "nothing": "",
    }


async def test_a_forged_token_opens_nothing(cloud: Cloud, secrets: Secrets) -> None:
    ada = await cloud.person()
    station, good = await with_token(cloud, ada)
    for kind, token in forged(good, secrets, ada).items():
        socket = await opened(station)
        await told(socket, "auth", token=token)
        assert await ended(socket) == stations.NO_TOKEN, kind
    await (await connected(station, good)).close()


async def test_a_stolen_token_is_worth_nothing_without_the_key_that_it_names(cloud: Cloud) -> None:
    ada, eve = await cloud.person(), await cloud.person()
    _, stolen = await with_token(cloud, ada)
    thief, _ = await with_token(cloud, eve)
    socket = await opened(thief)
    await told(socket, "auth", token=stolen)
    assert await ended(socket) == stations.NO_TOKEN


async def test_a_token_ends_after_an_hour_on_an_open_connection_too(cloud: Cloud) -> None:
    station, token = await with_token(cloud, await cloud.person())
    socket = await connected(station, token)
    cloud.clock.move(3601)
    await told(socket, "ping")
    assert await ended(socket) == stations.NO_TOKEN


async def test_a_denied_token_opens_nothing_until_it_would_have_ended(cloud: Cloud) -> None:
    station, token = await with_token(cloud, await cloud.person())
    claims = cloud.app[keys.TOKENS].verify(token, cloud.clock.now_ms)
    for _ in range(2):
        await deny(cloud.database, claims)
    socket = await opened(station)
    await told(socket, "auth", token=token)
    assert await ended(socket) == stations.NO_TOKEN
    count = schema.denied_token.select()
    await forget_ended(cloud.database, cloud.clock.now_ms)
    assert len(await cloud.database.read(lambda c: c.execute(count).all())) == 1
    await forget_ended(cloud.database, cloud.clock.now_ms + 3_700_000)
    assert await cloud.database.read(lambda c: c.execute(count).all()) == []


async def test_revoking_closes_an_open_connection_at_once(cloud: Cloud) -> None:
    ada = await cloud.person()
    station, token = await with_token(cloud, ada)
    other, other_token = await with_token(cloud, ada)
    socket, bystander = await connected(station, token), await connected(other, other_token)
    reply = await ada.send("POST", f"{station.place}/revoke", {})
    assert reply.status == 200
    assert await ended(socket) == stations.REVOKED
    await told(bystander, "ping")
    assert await event(bystander) == "pong"
    await bystander.close()


async def test_a_revocation_by_another_process_closes_it_within_a_ping(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stations, "PING_S", 0.2)
    station, token = await with_token(cloud, await cloud.person())
    socket = await connected(station, token)
    await cloud.database.write(lambda c: revoke_all(c, "unspecified", cloud.clock.now_ms))
    assert await ended(socket) == stations.REVOKED


async def test_who_brings_no_token_is_not_waited_for(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stations, "AUTH_S", 0.2)
    station, _ = await with_token(cloud, await cloud.person())
    assert await ended(await opened(station)) == stations.TIMED_OUT


@pytest.mark.parametrize("first", ["", "[]", '{"event":"auth"}', '{"event":"auth","data":{"token":7}}', "x"])
async def test_another_first_frame_opens_nothing(cloud: Cloud, first: str) -> None:
    station, _ = await with_token(cloud, await cloud.person())
    socket = await opened(station)
    await socket.send_str(first)
    assert await ended(socket) == stations.NO_TOKEN


async def test_a_line_that_breaks_while_the_cloud_answers_is_no_failure(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    station, token = await with_token(cloud, await cloud.person())
    lines: list[Callable[[], Awaitable[ClientWebSocketResponse]]] = [
        lambda: connected(station, token),
        lambda: opened(station),
    ]
    for line in lines:
        socket = await line()
        for _ in range(2_000):  # nobody reads the pongs, so that one is being written when the line breaks
            await socket.ping(b"x" * 125)
        assert socket._response.connection is not None
        transport = socket._response.connection.transport
        assert transport is not None
        transport.abort()
        await (await connected(station, token)).close()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_flood_and_what_is_no_frame_end_the_connection(cloud: Cloud) -> None:
    station, token = await with_token(cloud, await cloud.person())
    socket = await connected(station, token)
    await socket.send_str("nonsense")
    assert await ended(socket) == stations.BAD_FRAME
    socket = await connected(station, token)
    for _ in range(40):
        await told(socket, "ping")
    assert await ended(socket) == stations.TOO_MANY


async def frame(socket: ClientWebSocketResponse) -> tuple[str, Any]:
    async with asyncio.timeout(60):
        told = await socket.receive_json()
    return told["event"], told.get("id", 0)


async def test_an_order_is_announced_at_once_and_once(cloud: Cloud) -> None:
    ada = await cloud.person()
    station, token = await with_token(cloud, ada)
    early = (await ada.send("POST", f"{station.place}/commands", {"type": "locate"})).read(dict[str, Any])
    socket = await connected(station, token)
    assert await frame(socket) == ("command", early["id"])  # it waited before the station came
    late = (await ada.send("POST", f"{station.place}/commands", {"type": "locate"})).read(dict[str, Any])
    assert await frame(socket) == ("command", late["id"])
    await told(socket, "acknowledged")
    await told(socket, "ping")
    assert (await frame(socket))[0] == "pong"  # nothing is told twice, and an acknowledgement is no error
    await socket.close()


async def test_an_order_of_another_process_is_announced_within_a_ping(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stations, "PING_S", 0.2)
    monkeypatch.setattr(cloud.bus, "wake_station", lambda _: None)
    ada = await cloud.person()
    station, token = await with_token(cloud, ada)
    socket = await connected(station, token)
    order = (await ada.send("POST", f"{station.place}/commands", {"type": "locate"})).read(dict[str, Any])
    assert await frame(socket) == ("command", order["id"])
    await socket.close()


async def test_the_next_token_keeps_the_connection(cloud: Cloud) -> None:
    station, token = await with_token(cloud, await cloud.person())
    socket = await connected(station, token)
    cloud.clock.move(3000)
    fresh = (await station.send("POST", f"{station.place}/token")).read(dict[str, Any])["device_token"]
    await told(socket, "auth", token=fresh)
    assert await event(socket) == "authenticated"
    cloud.clock.move(1800)
    await told(socket, "ping")
    assert await event(socket) == "pong"
    await told(socket, "auth", token="mine")
    assert await ended(socket) == stations.NO_TOKEN


async def test_who_is_connected_is_online_without_a_heartbeat(cloud: Cloud) -> None:
    ada = await cloud.person()
    station, token = await with_token(cloud, ada)
    cloud.clock.move(cloud.settings.offline_after + 1)
    with cloud.bus.subscribe(ada.account_id) as news:
        socket = await connected(station, token)
        async with asyncio.timeout(60):
            assert (await anext(news)).event == "device-online"
    await socket.close()


async def test_releasing_a_station_ends_its_connection_at_once(cloud: Cloud) -> None:
    ada = await cloud.person()
    station, token = await with_token(cloud, ada)
    socket = await connected(station, token)
    assert (await ada.send("POST", f"{station.place}/release", {})).status == 200
    assert await ended(socket) == stations.REVOKED
