"""The WebSocket `/device-realtime` for people's pages: who may listen, the first picture, then the news.

Invariants: nobody is heard or told anything before the session cookie and the `Origin` were checked; a person
is told about their own stations only; the snapshot comes first and again after news were lost; one slow page
holds up nobody; a page outlives its session by one ping at most.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from cloud.errors import StoreError
from cloud.fleet.devices import Fleet
from cloud.keys import BUS, FLEET
from cloud.realtime.bus import Bus, News, Subscription
from cloud.realtime.stations import StationSockets
from cloud.security.sessions import (
    SESSION_ENDED,
    SESSIONS,
    Person,
    Sessions,
    find_person,
    require_same_origin,
)
from protocol.clock import from_unix
from protocol.errors import Refusal
from protocol.limits import MAX_WS_FRAME_BYTES, Bucket, Rate, take
from protocol.messages import FrameId

log = logging.getLogger(__name__)

PING_S = 30.0
"""A WebSocket ping for dead lines, and a `ping` frame, because a page's script cannot see the former."""
FRAMES = Rate(10, 1, 10)
"""What a page may send; ours send nothing."""

NO_SESSION, TOO_MANY_FRAMES, BAD_FRAME = 4401, 4429, 4400

Farewell = tuple[int, bytes]
"""Close code and reason."""
Snapshot = Callable[[str], Awaitable[list[dict[str, Any]]]]
Alive = Callable[[str], Awaitable[bool]]


class Frame(msgspec.Struct):
    """What travels in both directions. `ts` is RFC 3339 in UTC."""

    event: str
    id: FrameId = 0
    data: dict[str, Any] = {}
    ts: str = ""


def setup_realtime(app: web.Application) -> None:
    """Adds the gateway. BUS, FLEET and the sessions must be in the application."""
    gateway = Gateway(app[BUS], app[FLEET], app[SESSIONS], StationSockets(app))
    app.router.add_get("/device-realtime", gateway.listen)
    app.on_shutdown.append(gateway.close)


class Gateway:
    """All pages that listen to this process."""

    def __init__(self, bus: Bus, fleet: Fleet, sessions: Sessions, stations: StationSockets) -> None:
        self._bus = bus
        self._stations = stations
        self._fleet = fleet
        self._sessions = sessions
        self._open: set[web.WebSocketResponse] = set()

    async def listen(self, request: web.Request) -> web.StreamResponse:
        """GET /device-realtime. Closes with 4401 without a session, with 4429 for a page that floods."""
        if "signature-input" in request.headers:
            return await self._stations.listen(request)
        if "Origin" not in request.headers:
            raise Refusal(None, "origin", "A WebSocket must say which page opens it.", status=403)
        require_same_origin(request)
        person = await find_person(request)
        socket = web.WebSocketResponse(heartbeat=PING_S, max_msg_size=MAX_WS_FRAME_BYTES, compress=False)
        await socket.prepare(request)
        if person is None:
            await socket.close(code=NO_SESSION, message=b"sign in first")
            return socket
        self._open.add(socket)
        try:
            await Conversation(socket, person, self._bus, self._devices, self._sessions.alive).run()
        finally:
            self._open.discard(socket)
        return socket

    async def _devices(self, account_id: str) -> list[dict[str, Any]]:
        return [msgspec.to_builtins(device) for device in await self._fleet.list(account_id)]

    async def close(self, _app: web.Application) -> None:
        """Tells every page that the server goes; it comes back by itself."""
        for socket in list(self._open):
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"restarting")


class Conversation:
    """One open page: a task that tells and a task that listens; the first that ends says why."""

    def __init__(
        self, socket: web.WebSocketResponse, person: Person, bus: Bus, snapshot: Snapshot, alive: Alive
    ) -> None:
        self._socket = socket
        self._person = person
        self._bus = bus
        self._snapshot = snapshot
        self._alive = alive
        self._allowance: Bucket | None = None

    async def run(self) -> None:
        """Returns when the page is gone, was closed, or has no session any more."""
        with self._bus.subscribe(self._person.account_id) as news:
            async with asyncio.TaskGroup() as group:
                works = (self._tell(news), self._listen())
                tasks = [group.create_task(self._until_gone(work)) for work in works]
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    task.cancel()
        code, reason = done.pop().result()
        # Only here, with nobody reading or writing, is the closing handshake undisturbed.
        await self._socket.close(code=code, message=reason)

    async def _until_gone(self, work: Awaitable[Farewell]) -> Farewell:
        try:
            return await work
        except ConnectionError:
            return WSCloseCode.OK, b""  # the page went away in the middle of a word
        except StoreError as error:
            log.warning("a page lost its live view: %s", error)
            return WSCloseCode.TRY_AGAIN_LATER, b"try again"

    async def _tell(self, news: Subscription) -> Farewell:
        seen = await self._tell_everything(news)
        while True:
            item = await self._next(news)
            if self._doubtful(item, news) and not await self._alive(self._person.session):
                return NO_SESSION, b"signed out"
            if item is None:
                await self._send(Frame("ping", self._bus.last_id))
            elif news.missed:
                seen = await self._tell_everything(news)
            elif item.id > seen and item.event != SESSION_ENDED:
                await self._send(Frame(item.event, item.id, item.data, from_unix(item.at_ms / 1000)))

    @staticmethod
    def _doubtful(item: News | None, news: Subscription) -> bool:
        """Not only when told: that news may be among the lost ones, and a session also ends by itself."""
        return item is None or item.event == SESSION_ENDED or news.missed

    async def _next(self, news: Subscription) -> News | None:
        try:
            async with asyncio.timeout(PING_S):
                return await anext(news)
        except TimeoutError:
            return None

    async def _tell_everything(self, news: Subscription) -> int:
        """Sends the whole list; the id up to which news are contained in it."""
        news.missed, seen = False, self._bus.last_id
        devices = await self._snapshot(self._person.account_id)
        await self._send(Frame("devices-status", seen, {"devices": devices}))
        return seen

    async def _send(self, frame: Frame) -> None:
        if not frame.ts:
            frame.ts = from_unix(time.time())
        await self._socket.send_str(msgspec.json.encode(frame).decode())

    async def _listen(self) -> Farewell:
        async for message in self._socket:
            self._allowance, wait = take(self._allowance, FRAMES, time.monotonic())
            if wait:
                return TOO_MANY_FRAMES, b"too many frames"
            if not await self._answer(message):
                return BAD_FRAME, b"not a frame"
        return WSCloseCode.OK, b""

    async def _answer(self, message: WSMessage) -> bool:
        """A page reads; whatever it sends is refused politely. False for what is no frame at all."""
        if message.type is not WSMsgType.TEXT:
            return False
        try:
            frame = msgspec.json.decode(message.data, type=Frame)
        except (msgspec.MsgspecError, RecursionError):
            return False
        await self._send(Frame("error", frame.id, {"event": frame.event[:40], "detail": "Not authorized"}))
        return True
