"""The WebSocket of the pages: who may listen, what comes first, what a slow or rude page gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import WSMsgType

from cloud.realtime.bus import QUEUE_LENGTH
from cloud.realtime.gateway import BAD_FRAME, NO_SESSION, TOO_MANY_FRAMES
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.people_client import Browsing

Socket = aiohttp.ClientWebSocketResponse


@asynccontextmanager
async def listening(cloud: Cloud, person: Person | None, **headers: str) -> AsyncIterator[Socket]:
    own = {"Origin": cloud.base}
    if person is not None:
        own["Cookie"] = person.headers["Cookie"]
    address = f"{cloud.base}/device-realtime"
    async with cloud.session.ws_connect(address, headers={**own, **headers}) as socket:
        yield socket


async def frame(socket: Socket) -> dict[str, Any]:
    message = await socket.receive(timeout=20)
    assert message.type is WSMsgType.TEXT, message
    return msgspec.json.decode(message.data, type=dict[str, Any])


async def close_code(socket: Socket) -> int | None:
    while (await socket.receive(timeout=20)).type is WSMsgType.TEXT:
        pass
    return socket.close_code


async def until(socket: Socket, event: str) -> dict[str, Any]:
    while (one := await frame(socket))["event"] != event:
        pass
    return one


async def test_the_whole_list_comes_first_and_then_what_changes(cloud: Cloud) -> None:
    person = await cloud.person()
    station = await cloud.claimed(person)
    async with listening(cloud, person) as socket:
        first = await frame(socket)
        assert first["event"] == "devices-status"
        assert [device["id"] for device in first["data"]["devices"]] == [station.device_id]
        assert first["ts"].endswith("Z")

        await station.beaten("operational")
        told = await until(socket, "device-status")
        assert told["data"]["deviceId"] == station.device_id
        assert told["id"] > first["id"]


async def test_a_person_with_nothing_gets_an_empty_list(cloud: Cloud) -> None:
    async with listening(cloud, await cloud.person()) as socket:
        assert (await frame(socket))["data"] == {"devices": []}


async def test_nobody_hears_of_somebody_elses_station(cloud: Cloud) -> None:
    ada, eve = await cloud.person(), await cloud.person()
    station = await cloud.claimed(ada)
    async with listening(cloud, eve) as socket:
        assert (await frame(socket))["data"] == {"devices": []}
        await station.beaten("operational")
        cloud.bus.publish(eve.account_id, "marker", {})
        assert (await frame(socket))["event"] == "marker", "nothing came before it"


@pytest.mark.parametrize("cookie", ["", "session=nonsense"])
async def test_without_a_session_the_socket_is_closed_with_4401(cloud: Cloud, cookie: str) -> None:
    async with listening(cloud, None, Cookie=cookie) as socket:
        assert (await socket.receive(timeout=20)).type is WSMsgType.CLOSE
        assert socket.close_code == NO_SESSION


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", ""])
async def test_another_sites_page_cannot_open_it(cloud: Cloud, origin: str) -> None:
    person = await cloud.person()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with listening(cloud, person, Origin=origin):
            pass
    assert refused.value.status == 403


async def test_a_caller_that_names_no_page_is_refused(cloud: Cloud) -> None:
    person = await cloud.person()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await cloud.session.ws_connect(
            f"{cloud.base}/device-realtime", headers={"Cookie": person.headers["Cookie"]}
        )
    assert refused.value.status == 403


async def test_a_plain_request_is_answered_and_not_a_failure(cloud: Cloud) -> None:
    person = await cloud.person()
    headers = {"Cookie": person.headers["Cookie"], "Origin": cloud.base}
    async with cloud.session.get(f"{cloud.base}/device-realtime", headers=headers) as response:
        assert response.status == 400


async def test_signing_out_closes_the_pages_of_that_session_only(cloud: Cloud) -> None:
    person = await cloud.person()
    other = await cloud.person()
    async with listening(cloud, person) as gone, listening(cloud, other) as stays:
        await frame(gone)
        await frame(stays)
        await Browsing(cloud.session, cloud.base, person.headers).post("/sign-out")
        assert await close_code(gone) == NO_SESSION
        cloud.bus.publish(other.account_id, "marker", {})
        assert (await frame(stays))["event"] == "marker"


async def test_a_page_that_falls_behind_is_given_the_whole_list_again(cloud: Cloud) -> None:
    person = await cloud.person()
    async with listening(cloud, person) as socket:
        await frame(socket)
        for number in range(QUEUE_LENGTH + 50):
            cloud.bus.publish(person.account_id, "device-status", {"deviceId": "dev_x", "number": number})
        again = await frame(socket)
        assert again["event"] == "devices-status"
        assert again["id"] == cloud.bus.last_id
        cloud.bus.publish(person.account_id, "marker", {})
        assert (await frame(socket))["event"] == "marker", "what the list contains is not told twice"


async def test_a_page_may_not_speak_for_a_station(cloud: Cloud) -> None:
    person = await cloud.person()
    async with listening(cloud, person) as socket:
        await frame(socket)
        await socket.send_json({"event": "device-status-update", "id": 5, "data": {"status": "online"}})
        answer = await frame(socket)
        assert (answer["event"], answer["id"]) == ("error", 5)
        assert answer["data"] == {"event": "device-status-update", "detail": "Not authorized"}


@pytest.mark.parametrize("sent", ["", "{", "[]", "null", '{"event": 7}', '{"data": {}}', b"\x00\x01"])
async def test_what_is_no_frame_closes_the_socket(cloud: Cloud, sent: str | bytes) -> None:
    async with listening(cloud, await cloud.person()) as socket:
        await frame(socket)
        await (socket.send_bytes(sent) if isinstance(sent, bytes) else socket.send_str(sent))
        assert await close_code(socket) == BAD_FRAME


async def test_a_page_that_floods_is_closed(cloud: Cloud) -> None:
    async with listening(cloud, await cloud.person()) as socket:
        await frame(socket)
        for _ in range(40):
            if not socket.closed:
                await socket.send_str('{"event": "hello"}')
        assert await close_code(socket) == TOO_MANY_FRAMES


async def test_a_frame_that_is_too_large_closes_the_socket(cloud: Cloud) -> None:
    async with listening(cloud, await cloud.person()) as socket:
        await frame(socket)
        await socket.send_str('{"event": "' + "x" * 70_000 + '"}')
        assert await close_code(socket) == 1009


async def test_dropped_lines_leave_no_listener_behind(cloud: Cloud) -> None:
    person = await cloud.person()
    for _ in range(100):
        async with listening(cloud, person) as socket:
            await frame(socket)
            assert socket._response.connection is not None
            transport = socket._response.connection.transport
            assert transport is not None
            transport.abort()
    for _ in range(100):
        if not cloud.bus.listening():
            break
        await asyncio.sleep(0.05)
    assert cloud.bus.listening() == 0
