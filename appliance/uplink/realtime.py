"""The live connection: the cloud says at once that something waits, and the heartbeat fetches it.

Nothing that comes here is believed. A frame only wakes the heartbeat, whose signed exchange brings orders and
configuration as ever, so an order is carried out once, whichever way its news came. Without this connection
the station loses nothing but speed. Memory is bounded: one frame at a time, of 64 KiB at most.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from aiohttp import ClientWebSocketResponse, WSMsgType

from appliance.identity.credentials import Credentials
from appliance.uplink.client import CloudClient, NoSocket, Refused, Unreachable
from appliance.uplink.reconnect import Reconnect
from buffer.backoff import Random
from protocol.certificate_messages import TokenAnswer
from protocol.limits import MAX_WS_FRAME_BYTES, Bucket, Rate, take

log = logging.getLogger(__name__)

PATH = "/device-realtime"
AUTH_S = 10.0
"""So long the cloud may take to answer the token."""
LOOK_S = 5.0
"""How often to see whether the connection is still wanted, and the token still good."""
RENEW_AT = 0.8
"""Of a token's life."""
PING_S = 30.0
WAKES = Rate(1, 1, 3)
"""So often frames may wake the heartbeat; what comes faster is covered by the last wake."""
ASKED_TO_WAIT_S = 60.0
"""After 4429, whose frame has no room for a number."""

NO_TOKEN, REVOKED, TIMED_OUT, TOO_MANY = 4401, 4403, 4408, 4429
_CLOUD_SPEAKS = frozenset({401, 429})
"""Refusals that are the cloud's own and say nothing of the way to it; so does what fails inside, 5xx."""
_NEWS = frozenset({"command", "config-updated"})
_SILENT = frozenset({"pong", "ping", "authenticated"})

Condition = Literal["off", "resting", "trying", "connected", "blocked"]


class Frame(msgspec.Struct, omit_defaults=True):
    """What travels in both directions."""

    event: str
    id: int | str = 0
    data: dict[str, Any] = {}
    ts: str = ""


@dataclass
class Counts:
    """Since the program started."""

    connections: int = 0
    failures: int = 0
    news: int = 0
    ignored: int = 0
    """Frames that are none, or of a kind that this version does not know."""


@dataclass
class _Token:
    text: str
    keyid: str
    renew_at: float


class Realtime:
    """One task, one connection. `wanted` says whether the station's condition asks for it."""

    def __init__(
        self,
        client: CloudClient,
        credentials: Callable[[], Credentials | None],
        wake: Callable[[], None],
        wanted: Callable[[bool], bool],
        wait_online: Callable[[], Awaitable[object]],
        random: Random,
        on: bool = True,
    ) -> None:
        """`wanted` is told whether a connection stands: one is opened with more care than it is kept."""
        self._client, self._credentials = client, credentials
        self._wake_heartbeat, self._wanted, self._wait_online = wake, wanted, wait_online
        self._reconnect = Reconnect(random)
        self._random = random
        self._on = on
        self._token: _Token | None = None
        self._allowance: Bucket | None = None
        self._owed: asyncio.TimerHandle | None = None
        self._again = asyncio.Event()
        self._failure: str | None = None
        self._connected = False
        self.last_event_id: int | str = 0
        self.counts = Counts()
        self.heard: Callable[[Frame], None] = lambda _: None
        """Told of every frame that the station understands."""

    @property
    def condition(self) -> Condition:
        """For pages, command line and figures."""
        if not self._on:
            return "off"
        if self._connected:
            return "connected"
        if self._reconnect.blocked:
            return "blocked"
        return "trying" if self._wanted(False) else "resting"

    def link_came_up(self) -> None:
        """Another network may let through what the last one did not."""
        self._reconnect.fresh()
        self._again.set()

    async def run(self) -> None:
        """Until cancelled; returns at once when it is switched off."""
        while self._on:
            await self._wait_online()
            if self._credentials() is None or not self._wanted(False):
                await asyncio.sleep(LOOK_S)
                continue
            await self._rest(await self.once())

    async def _rest(self, seconds: float) -> None:
        self._again.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._again.wait()
                # Neighbours whose shared router came back must not come at one moment.
                await asyncio.sleep(self._random() * LOOK_S)

    async def once(self) -> float:
        """One connection, from its token to its end; the seconds to wait before the next."""
        now, began = self._client.time.system.monotonic, None
        try:
            token = await self._good_token()
            socket = await self._client.socket(PATH, ping=PING_S, largest=MAX_WS_FRAME_BYTES)
            try:
                self._reconnect.upgraded()
                await self._authenticate(socket, token)
                began = now()
                self._opened()
                code = await self._listen(socket)
            finally:
                self._connected = False
                with contextlib.suppress(Exception):
                    await socket.close()
        except NoSocket as answer:
            self._say(str(answer))
            if answer.status in _CLOUD_SPEAKS or answer.status >= 500:
                self._token = None  # the request for the next one brings clock and counter right
                return self._reconnect.failed(answer.retry_after)
            return self._reconnect.not_upgraded(answer.retry_after)
        except Refused as refusal:
            self._token = None
            self._say(str(refusal))
            return self._reconnect.failed(refusal.retry_after)
        except (Unreachable, TimeoutError, ConnectionError) as error:
            self._say(str(error) or "no answer in time")
            return self._reconnect.failed()
        return self._closed(code, None if began is None else now() - began)

    def _opened(self) -> None:
        self._connected, self._failure = True, None
        self.counts.connections += 1
        log.info("live connection: open")

    def _closed(self, code: int | None, lasted: float | None) -> float:
        if code is not None and code >= 4000:
            self._token = None
        if code == REVOKED:
            self._wake_heartbeat()  # its signed answer says whether this station is really shut out
        self._say(f"closed with {code}")
        if code == TOO_MANY:
            return self._reconnect.failed(ASKED_TO_WAIT_S)
        return self._reconnect.failed() if lasted is None else self._reconnect.ended(lasted)

    def _say(self, failure: str) -> None:
        """Once per episode."""
        self.counts.failures += 1
        if failure != self._failure:
            log.info("live connection: %s", failure)
        self._failure = failure

    # --- the token ----------------------------------------------------------------------------------------

    async def _good_token(self) -> _Token:
        """The token in hand while it is good, or a fresh one. Raises `Unreachable`, `Refused`."""
        now, keyid = self._client.time.system.monotonic(), self._client.key.keyid
        if self._token is None or self._token.keyid != keyid or now >= self._token.renew_at:
            credentials = self._credentials()
            if credentials is None:
                raise Unreachable("connect", "The station belongs to nobody.")
            reply = await self._client.send("POST", f"/v1/devices/{credentials.device_id}/token")
            answer = reply.read(TokenAnswer)
            life = min(max(answer.expires_in, 60), 86_400)
            self._token = _Token(answer.device_token, keyid, now + RENEW_AT * life)
        return self._token

    async def _authenticate(self, socket: ClientWebSocketResponse, token: _Token) -> None:
        """Raises `TimeoutError`, or `ConnectionError` when something else than a yes came."""
        await self._send_token(socket, token)
        async with asyncio.timeout(AUTH_S):
            message = await socket.receive()
        frame = _read(message.data) if message.type is WSMsgType.TEXT else None
        if frame is None or frame.event != "authenticated":
            self._token = None
            if socket.close_code == REVOKED:
                self._wake_heartbeat()
            raise ConnectionError(f"not let in (closed with {socket.close_code})")

    async def _send_token(self, socket: ClientWebSocketResponse, token: _Token) -> None:
        data: dict[str, Any] = {"token": token.text}
        if self.last_event_id:
            data["last_event_id"] = self.last_event_id
        await _send(socket, Frame("auth", data=data))

    # --- the conversation ---------------------------------------------------------------------------------

    async def _listen(self, socket: ClientWebSocketResponse) -> int | None:
        """Until it ends; the close code. Raises `ConnectionError`.

        A read is never cancelled for a look at the clock: that could tear a frame apart.
        """
        keeper = asyncio.create_task(self._keep(socket), name="live connection's token")
        try:
            async for message in socket:
                await self._take(socket, _read(message.data) if message.type is WSMsgType.TEXT else None)
        finally:
            keeper.cancel()
            await asyncio.wait({keeper})
        if not keeper.cancelled():
            keeper.result()
        return socket.close_code

    async def _keep(self, socket: ClientWebSocketResponse) -> None:
        """Brings the next token in time, and closes what is not wanted any more."""
        while not socket.closed:
            await asyncio.sleep(LOOK_S)
            if not self._wanted(True) or self._credentials() is None:
                await socket.close()
                return
            before = self._token
            try:
                token = await self._good_token()
                if token is not before and not socket.closed:
                    await self._send_token(socket, token)
            except (Unreachable, Refused, ConnectionError) as error:
                log.info("live connection: no next token: %s", error)
                await socket.close()
                return

    async def _take(self, socket: ClientWebSocketResponse, frame: Frame | None) -> None:
        if frame is None or frame.event not in _NEWS | _SILENT:
            self.counts.ignored += 1
            return
        self.heard(frame)
        if frame.event in _NEWS:
            self.counts.news += 1
            self.last_event_id = frame.id if isinstance(frame.id, int) else frame.id[:64]
            if self._wake():
                await _send(socket, Frame("acknowledged", self.last_event_id, {"status": "acknowledged"}))

    def _wake(self) -> bool:
        """Wakes the heartbeat now, or once as soon as it may be; a flood makes no storm of heartbeats."""
        if self._owed is not None:
            return False
        self._allowance, wait = take(self._allowance, WAKES, self._client.time.system.monotonic())
        if wait:
            self._owed = asyncio.get_running_loop().call_later(wait, self._wake_late)
            return False
        self._wake_heartbeat()
        return True

    def _wake_late(self) -> None:
        self._owed = None
        self._wake_heartbeat()


def _read(text: str) -> Frame | None:
    try:
        return msgspec.json.decode(text, type=Frame)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None


async def _send(socket: ClientWebSocketResponse, frame: Frame) -> None:
    await socket.send_str(msgspec.json.encode(frame).decode())
