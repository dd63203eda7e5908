"""A station and its person as they behave: they go on until it is done, and believe only answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp
import msgspec

from protocol.messages import ClaimComplete, ClaimPending, ValidateAnswer
from tests.cloud.station_client import Reply, Station
from tests.registration.faults import Dice, Lost, Restarted, through

Mode = Literal["token", "list", "card"]
MOST_TRIES = 400
_LONGEST_PAUSE_S = 2.0
_FOR_THE_MOMENT = {408, 429, 500, 502, 503, 504}


@dataclass
class Owner:
    """A signed-in person, by session."""

    account_id: str
    cookie: str
    csrf: str

    def headers(self, base: str) -> dict[str, str]:
        return {"Cookie": f"session={self.cookie}", "X-CSRF-Token": self.csrf, "Origin": base}


@dataclass
class Line:
    """The way of one client to the cloud; `base` may change its meaning when the cloud restarts."""

    session: aiohttp.ClientSession
    base: str
    dice: Dice

    async def ask(self, send: Callable[[], Awaitable[Reply]], restart: Callable[[], None]) -> Reply:
        """Until somebody answers with more than "not now"."""
        for attempt in range(MOST_TRIES):
            try:
                reply = await through(self.dice, send)
            except Lost:
                await asyncio.sleep(min(0.05 * 2**attempt, _LONGEST_PAUSE_S))
            except Restarted:
                restart()
            else:
                if reply.status not in _FOR_THE_MOMENT:
                    return reply
                given = reply.headers.get("Retry-After", "")
                await asyncio.sleep(float(given) if given.isdigit() else min(0.05 * 2**attempt, 2.0))
        raise AssertionError("the cloud never answered")


class Device(Station):
    """One station with its key; `address` is where it seems to come from."""

    def __init__(self, line: Line, number: int, mode: Mode) -> None:
        super().__init__(line.session, line.base, time.time)
        self.line, self.number, self.mode = line, number, mode
        self.token = ""
        self.claim_id: str | None = None
        self.restarts = 0
        self.complete: ClaimComplete | None = None

    @property
    def address(self) -> str:
        return f"10.{self.number >> 16 & 255}.{self.number >> 8 & 255}.{self.number & 255}"

    async def raw(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        return await super().raw(method, path, body, {**headers, "X-Forwarded-For": self.address})

    def restart(self) -> None:
        """The power fails: key and boot counter are on the disk, the claim in hand is not."""
        self.restarts += 1
        self.boot, self.sequence, self.claim_id = self.boot + 1, 0, None

    async def register(self) -> None:
        """Until it has its credentials, and the cloud has heard of it."""
        while self.complete is None:
            await self._step()
        beat = await self.line.ask(self.beat, self.restart)
        assert beat.status == 200, beat

    async def _step(self) -> None:
        if self.mode == "token":
            self._keep(await self.line.ask(lambda: self.claim_with_token(self.token), self.restart))
        elif self.mode == "list":
            request = self.claim_request()
            claim = "/v1/devices/claim"
            self._keep(await self.line.ask(lambda: self.send("POST", claim, request), self.restart))
        elif self.claim_id is None:
            await self._show_card()
        else:
            await self._poll(self.claim_id)

    async def _show_card(self) -> None:
        reply = await self.line.ask(self.claim_with_card, self.restart)
        if reply.status == 202:
            self.claim_id = reply.read(ClaimPending).claim_id
        else:
            self._keep(reply)

    async def _poll(self, claim_id: str) -> None:
        reply = await self.line.ask(lambda: self.validate(claim_id), self.restart)
        if reply.status == 202:
            await asyncio.sleep(1)
        elif reply.status == 200:
            challenge = reply.read(ValidateAnswer)
            done = await self.line.ask(lambda: self.confirm(challenge), self.restart)
            if done.status in (200, 201):
                self._keep(done)
            else:
                self.claim_id = None  # a used challenge: the card leads on, as on the real station
        else:
            self.claim_id = None

    def _keep(self, reply: Reply) -> None:
        assert reply.status in (200, 201), (self.mode, reply)
        self.complete = self.take(reply)


async def name(line: Line, owner: Owner, device: Device) -> None:
    """The person types short id and PIN, as often as it takes."""
    body = msgspec.json.encode({"short_id": device.short_id, "pin": device.pin})
    headers = owner.headers(line.base) | {"Content-Type": "application/json"}

    async def send() -> Reply:
        url = f"{line.base}/v1/devices/register/initiate"
        async with line.session.post(url, data=body, headers=headers) as response:
            return Reply(response.status, response.headers, await response.read())

    reply = await line.ask(send, lambda: None)
    assert reply.status == 200, reply


async def post(session: aiohttp.ClientSession, base: str, owner: Owner, path: str, body: Any) -> Any:
    """One request of a person without faults."""
    headers = owner.headers(base) | {"Content-Type": "application/json"}
    async with session.post(base + path, data=msgspec.json.encode(body), headers=headers) as response:
        assert response.status == 201, await response.text()
        return await response.json()
