"""The WebSocket `/device-realtime` as stations use it: who may open it, what is told, when it is closed.

Opening it is a signed request like every other of a station. The first frame brings a device token, which
must name the key that signed: a stolen token is worth nothing without the key. Another `auth` brings the
next token before the first ends. A station that is revoked loses its connection at once, and within one ping
when another process revoked it.

What is told is only that something waits: orders and configurations are fetched by signed requests.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from cloud.api.bodies import signed_request
from cloud.keys import BUS, DATABASE, DEVICE_AUTH, REVOCATIONS, SETTINGS, TOKENS, UNIX_MS
from cloud.realtime.bus import Bus, Subscription
from cloud.realtime.waiting import Waiting, seen, what_waits
from cloud.registry.tokens import DeviceClaims, TokenRefused
from cloud.security.device_auth import DevicePrincipal
from cloud.security.token_standing import standing
from cloud.store.engine import Database
from cloud.tls import presented
from protocol.clock import from_unix
from protocol.limits import MAX_WS_FRAME_BYTES, Bucket, Rate, take
from protocol.messages import FrameId

log = logging.getLogger(__name__)

AUTH_S = 5.0
"""So long a connection may wait with its token."""
PING_S = 30.0
FRAMES = Rate(10, 1, 10)

NO_TOKEN, REVOKED, TIMED_OUT, TOO_MANY, BAD_FRAME = 4401, 4403, 4408, 4429, 4400


class StationFrame(msgspec.Struct, omit_defaults=True):
    """What a station sends. `auth` has `data.token`."""

    event: str
    id: FrameId = 0
    data: dict[str, Any] = {}
    ts: str = ""


class StationSockets:
    """Every station that is connected to this process."""

    def __init__(self, app: web.Application) -> None:
        self._open: defaultdict[str, set[_Conversation]] = defaultdict(set)
        app[REVOCATIONS].when_revoked(lambda device_id: self._shut(device_id, REVOKED, b"revoked"))
        app.on_shutdown.append(self._close_all)

    async def _close_all(self, _app: web.Application) -> None:
        for device_id in list(self._open):
            self._shut(device_id, WSCloseCode.GOING_AWAY, b"restarting")

    def _shut(self, device_id: str, code: int, why: bytes) -> None:
        for conversation in self._open.get(device_id, ()):
            conversation.end(code, why)

    async def listen(self, request: web.Request) -> web.StreamResponse:
        """GET /device-realtime by a station. Raises `Refusal` before the connection is a WebSocket."""
        signed = await signed_request(request, 0)
        station = await request.app[DEVICE_AUTH].device(signed, None, presented(request))
        socket = web.WebSocketResponse(heartbeat=PING_S, max_msg_size=MAX_WS_FRAME_BYTES, compress=False)
        await socket.prepare(request)
        claims = await self._authenticated(request, socket, station)
        if claims is None:
            return socket
        conversation, mine = (
            _Conversation(request, socket, station, claims),
            self._open[station.device_id],
        )
        mine.add(conversation)
        try:
            await conversation.run()
        except ConnectionError:
            log.info("%s went away in the middle of a word", station.device_id)
        finally:
            mine.discard(conversation)
            if not mine:
                self._open.pop(station.device_id, None)
        return socket

    async def _authenticated(
        self, request: web.Request, socket: web.WebSocketResponse, station: DevicePrincipal
    ) -> DeviceClaims | None:
        """The claims of a good token; None after the connection was closed."""
        try:
            async with asyncio.timeout(AUTH_S):
                message = await socket.receive()
            return await _claims(request, station, msgspec.json.decode(message.data, type=StationFrame))
        except ConnectionError:
            log.info("%s went away before its token came", station.device_id)
        except TimeoutError:
            await socket.close(code=TIMED_OUT, message=b"no token came")
        except (msgspec.MsgspecError, TypeError, UnicodeDecodeError, RecursionError):
            await socket.close(code=NO_TOKEN, message=b"the first frame must be auth with a token")
        except TokenRefused as refused:
            log.info("a token of %s was refused: %s", station.device_id, refused)
            await socket.close(code=NO_TOKEN, message=b"the token does not hold")
        return None


async def _claims(request: web.Request, station: DevicePrincipal, frame: StationFrame) -> DeviceClaims:
    """What a good token says. Raises `TokenRefused`."""
    claims = request.app[TOKENS].verify(str(frame.data.get("token")), request.app[UNIX_MS]())
    if frame.event != "auth" or (claims.device_id, claims.keyid) != (station.device_id, station.keyid):
        raise TokenRefused("The token belongs to another key.")
    if why := await standing(request.app[DATABASE], claims):
        raise TokenRefused(why)
    return claims


class _Conversation:
    """One connection after its token was found right."""

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        station: DevicePrincipal,
        claims: DeviceClaims,
    ) -> None:
        self._request = request
        self._database: Database = request.app[DATABASE]
        self._bus: Bus = request.app[BUS]
        self._offline_after = request.app[SETTINGS].offline_after
        self._now: Callable[[], int] = request.app[UNIX_MS]
        self._socket, self._station, self._claims = socket, station, claims
        self._told = Waiting()
        self._seen_ms = -self._offline_after * 1000
        self._allowance: Bucket | None = None
        self._ending: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()

    def end(self, code: int, why: bytes) -> None:
        """Closes the connection soon; the first that ends it says why."""
        if not self._ending.done():
            self._ending.set_result((code, why))

    async def run(self) -> None:
        """Until the station goes, floods, is revoked, or its token ends."""
        with self._bus.subscribe_station(self._station.device_id) as news:
            await self._send("authenticated", 0, {"deviceId": self._station.device_id})
            await self._look()
            while not self._ending.done():
                message = await self._next(news)
                if message is not None and message.type is not WSMsgType.TEXT:
                    return
                await self._check()
                if message is not None and not self._ending.done():
                    await self._hear(message.data)
                elif not self._ending.done():
                    await self._look()
        code, why = self._ending.result()
        # Only here, with nobody reading or writing, is the closing handshake undisturbed.
        await self._socket.close(code=code, message=why)

    async def _next(self, news: Subscription) -> WSMessage | None:
        """The next message; None when something may wait for the station, when the time of a ping has
        passed, or when the connection shall end."""
        receiving = asyncio.ensure_future(self._socket.receive())
        woken = asyncio.ensure_future(anext(news))
        try:
            both: set[asyncio.Future[Any]] = {receiving, woken, self._ending}
            done, _ = await asyncio.wait(both, timeout=PING_S, return_when=asyncio.FIRST_COMPLETED)
            return receiving.result() if receiving in done else None
        finally:
            for each in (receiving, woken):
                if not each.done():
                    each.cancel()
                    await asyncio.wait({each})

    async def _check(self) -> None:
        if self._claims.ends <= self._now() / 1000:
            self.end(NO_TOKEN, b"the token has ended")
        elif await standing(self._database, self._claims):
            self.end(REVOKED, b"revoked")

    async def _look(self) -> None:
        """Tells what waits and was not told; an open connection is a sign of life."""
        device_id, now = self._station.device_id, self._now()
        waits = await self._database.read(lambda c: what_waits(c, device_id))
        for event, number in waits.beyond(self._told):
            await self._send(event, number, {})
        self._told = waits
        if now - self._seen_ms < self._offline_after * 500:
            return
        came = await self._database.write(lambda c: seen(c, device_id, now, self._offline_after))
        self._seen_ms = now
        if came is not None:
            told = {"deviceId": device_id, "timestamp": from_unix(now / 1000)}
            self._bus.publish(came, "device-online", told)

    async def _hear(self, text: str) -> None:
        self._allowance, wait = take(self._allowance, FRAMES, time.monotonic())
        if wait:
            return self.end(TOO_MANY, b"too many frames")
        try:
            frame = msgspec.json.decode(text, type=StationFrame)
        except (msgspec.MsgspecError, RecursionError):
            return self.end(BAD_FRAME, b"not a frame")
        if frame.event == "ping":
            await self._send("pong", frame.id, {})
        elif frame.event == "auth":
            await self._take_next_token(frame)
        elif frame.event != "acknowledged":
            await self._send("error", frame.id, {"event": frame.event[:40], "detail": "Not known"})
        return None

    async def _take_next_token(self, frame: StationFrame) -> None:
        try:
            self._claims = await _claims(self._request, self._station, frame)
        except TokenRefused as refused:
            log.info("a token of %s was refused: %s", self._station.device_id, refused)
            return self.end(NO_TOKEN, b"the token does not hold")
        return await self._send("authenticated", frame.id, {"deviceId": self._station.device_id})

    async def _send(self, event: str, number: int | str, data: dict[str, Any]) -> None:
        frame = StationFrame(event=event, id=number, data=data)
        await self._socket.send_str(msgspec.json.encode(frame).decode())
