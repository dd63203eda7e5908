"""The live connection before a cloud that misbehaves: it only wakes, and it never hammers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import WSMsgType, web

from appliance.uplink import realtime as module
from appliance.uplink.realtime import Realtime
from appliance.uplink.reconnect import BLOCKED_AFTER, BLOCKED_S, LEAST_S
from protocol.certificate_messages import TokenAnswer
from protocol.limits import MAX_WS_FRAME_BYTES
from tests.appliance.fakes import DEVICE_ID
from tests.appliance.uplink_world import Uplink, uplink
from tests.appliance.workshop import running, until

Talk = Callable[[web.WebSocketResponse], Awaitable[None]]
TOKEN = f"/v1/devices/{DEVICE_ID}/token"


class World:
    """A live connection, what it woke, and a cloud whose words a test chooses."""

    def __init__(self, way: Uplink) -> None:
        self.way = way
        self.woken = 0
        self.wanted = True
        self.heard: list[dict[str, Any]] = []
        self.paths: list[str] = []
        online = asyncio.Event()
        online.set()
        self.live = Realtime(
            way.client, lambda: way.credentials, self._wake, lambda _: self.wanted, online.wait, lambda: 0.0
        )

    def _wake(self) -> None:
        self.woken += 1

    def condition(self) -> str:
        return self.live.condition

    def tokens(self, count: int = 1, life: int = 3600) -> None:
        """The cloud gives so many tokens."""

        async def give(_request: web.Request, _body: bytes) -> web.Response:
            answer = TokenAnswer(device_token="t0ken", expires_in=life, server_time="2026-01-01T00:00:00Z")
            return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

        self.way.cloud.script("POST", TOKEN, *[give] * count)

    def talks(self, *talks: Talk) -> None:
        """The next connections, one for each talk, after the token was taken."""

        def opening(talk: Talk) -> Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]:
            async def open_(request: web.Request, _body: bytes) -> web.StreamResponse:
                self.paths.append(request.path_qs)
                assert "signature-input" in request.headers
                socket = web.WebSocketResponse()
                await socket.prepare(request)
                self.heard.append(await socket.receive_json())
                await talk(socket)
                return socket

            return open_

        self.way.cloud.script("GET", "/device-realtime", *map(opening, talks))

    def answers(self, *statuses: int) -> None:
        """The next wishes for a connection get plain HTTP."""

        def plain(status: int) -> Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]:
            async def answer(_request: web.Request, _body: bytes) -> web.Response:
                return web.Response(status=status, text="<html>no</html>", headers={"Retry-After": "120"})

            return answer

        self.way.cloud.script("GET", "/device-realtime", *map(plain, statuses))


async def welcome(socket: web.WebSocketResponse) -> None:
    await socket.send_json({"event": "authenticated"})


def closing(code: int) -> Talk:
    async def talk(socket: web.WebSocketResponse) -> None:
        await welcome(socket)
        await socket.close(code=code)

    return talk


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with uplink(tmp_path) as way:
        yield World(way)


async def test_news_wakes_the_heartbeat_and_is_acknowledged(world: World) -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await welcome(socket)
        await socket.send_json({"event": "command", "id": "cmd_1", "data": {"type": "reboot"}})
        world.heard.append(await socket.receive_json())
        await socket.close()

    world.tokens()
    world.talks(talk)
    await world.live.once()
    assert world.woken == 1
    assert world.heard[0] == {"event": "auth", "data": {"token": "t0ken"}}
    assert world.heard[1]["event"] == "acknowledged"
    assert world.heard[1]["id"] == "cmd_1"
    assert world.paths == ["/device-realtime"]  # no token in an address
    assert (world.live.counts.connections, world.live.counts.news) == (1, 1)


async def test_it_resumes_after_the_last_news(world: World) -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await welcome(socket)
        await socket.send_json({"event": "config-updated", "id": 7})
        await socket.receive()
        await socket.close()

    world.tokens()
    world.talks(talk, closing(1001))
    await world.live.once()
    await world.live.once()
    assert [first["data"].get("last_event_id") for first in world.heard] == [None, 7]


async def test_rubbish_is_ignored_and_counted_and_a_flood_wakes_a_few_times_only(world: World) -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await welcome(socket)
        for text in ("", "x", "[]", "{}", '{"event":7}', '{"event":"reboot-now"}', '{"event":"\ud7ff"}'):
            await socket.send_str(text)
        await socket.send_bytes(b"\xff\x00")
        for number in range(200):
            await socket.send_str(json.dumps({"event": "command", "id": number}))
        await socket.close()

    world.tokens()
    world.talks(talk)
    await world.live.once()
    assert world.live.counts.ignored == 8
    assert world.live.counts.news == 200
    assert 1 <= world.woken <= 5


async def test_a_frame_that_is_too_long_ends_the_connection(world: World) -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await welcome(socket)
        await socket.send_str("x" * (MAX_WS_FRAME_BYTES + 1))
        assert (await socket.receive()).type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR)

    world.tokens()
    world.talks(talk)
    assert await world.live.once() >= LEAST_S
    assert world.woken == 0


@pytest.mark.parametrize(
    ("code", "woken", "tokens"), [(4401, 0, 2), (4403, 1, 2), (4408, 0, 2), (4429, 0, 2), (1001, 0, 1)]
)
async def test_every_end_has_its_answer(world: World, code: int, woken: int, tokens: int) -> None:
    world.tokens(2)
    world.talks(closing(code), closing(1000))
    wait = await world.live.once()
    assert wait >= (module.ASKED_TO_WAIT_S if code == 4429 else LEAST_S)
    assert world.woken == woken
    await world.live.once()
    assert len(world.way.cloud.heard("POST", TOKEN)) == tokens


async def test_a_token_that_is_refused_is_not_used_again(world: World) -> None:
    async def refuse(socket: web.WebSocketResponse) -> None:
        await socket.close(code=4401)

    world.tokens(2)
    world.talks(refuse, closing(1000))
    await world.live.once()
    assert world.live.counts.connections == 0
    await world.live.once()
    assert len(world.way.cloud.heard("POST", TOKEN)) == 2


@pytest.mark.parametrize("status", [200, 403, 404])
async def test_a_way_without_websockets_is_not_an_error_and_is_tried_rarely(
    world: World, status: int
) -> None:
    world.tokens()
    world.answers(*[status] * BLOCKED_AFTER)
    waits = [await world.live.once() for _ in range(BLOCKED_AFTER)]
    assert waits[-1] >= BLOCKED_S / 2
    assert world.condition() == "blocked"
    world.live.link_came_up()
    assert world.condition() == "trying"


@pytest.mark.parametrize("status", [401, 429, 502, 503])
async def test_a_cloud_that_is_not_well_is_no_way_without_websockets(world: World, status: int) -> None:
    world.tokens(5)
    world.answers(*[status] * 5)
    assert all([120 <= await world.live.once() < 300 for _ in range(5)])
    assert world.live.condition == "trying"


async def test_a_redirect_gets_no_token(world: World) -> None:
    async def elsewhere(_request: web.Request, _body: bytes) -> web.Response:
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    world.tokens()
    world.way.cloud.script("GET", "/device-realtime", elsewhere)
    await world.live.once()
    assert not world.way.cloud.heard("GET", "/elsewhere")


async def test_a_line_that_is_dead_without_a_word_is_noticed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PING_S", 0.2)
    over = asyncio.Event()

    async def silent(request: web.Request, _body: bytes) -> web.StreamResponse:
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        await socket.receive()
        await welcome(socket)
        await over.wait()  # reads nothing, so answers no ping
        return socket

    world.tokens()
    world.way.cloud.script("GET", "/device-realtime", silent)
    async with asyncio.timeout(60):
        await world.live.once()
    over.set()
    assert world.live.counts.connections == 1


async def test_the_next_token_comes_before_the_first_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.05)
    monkeypatch.setattr(module, "RENEW_AT", 0.0)

    async def talk(socket: web.WebSocketResponse) -> None:
        await welcome(socket)
        world.heard.append(await socket.receive_json())
        await socket.close()

    world.tokens(100)
    world.talks(talk)
    await world.live.once()
    assert [each["event"] for each in world.heard] == ["auth", "auth"]


async def test_it_is_closed_when_the_station_has_other_worries(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.05)

    async def talk(socket: web.WebSocketResponse) -> None:
        await welcome(socket)
        world.wanted = False
        await socket.receive()

    world.tokens()
    world.talks(talk)
    async with running(world.live.run):
        await until(lambda: world.live.counts.connections == 1 and world.live.condition == "resting")
    assert len(world.paths) == 1


async def test_switched_off_it_does_nothing(world: World) -> None:
    live = Realtime(
        world.way.client, lambda: None, world._wake, lambda _: True, asyncio.Event().wait, lambda: 0, False
    )
    await live.run()
    assert live.condition == "off"
