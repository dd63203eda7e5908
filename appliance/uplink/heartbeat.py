"""The heartbeat loop: tells the cloud how the station is, and takes what the cloud has for it.

It never waits for the buffer, and heartbeats are never buffered: an old one is worth nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from appliance.identity.credentials import Credentials
from appliance.uplink.client import CloudClient, Refused, Unreachable
from protocol.errors import RELEASED
from protocol.messages import CommandAck, ConfigUpdates, HeartbeatAnswer, HeartbeatRequest

log = logging.getLogger(__name__)

FASTEST_S = 1.0
SLOWEST_S = 3600.0
RETRY_S = 15.0
MOST_ACKS = 100
"""As many as one heartbeat may carry."""


class Owner(Protocol):
    """What the heartbeat needs of the device."""

    def credentials(self) -> Credentials | None:
        """None while the station is unclaimed."""

    async def describe(self) -> HeartbeatRequest:
        """The station's condition now."""

    async def renamed(self, name: str) -> None:
        """The owner gave the station another name."""

    def configured(self, update: ConfigUpdates) -> None:
        """A newer configuration is there."""

    async def released(self) -> None:
        """The owner gave the station up."""

    def advised(self, answer: HeartbeatAnswer) -> None:
        """Warnings and recommendations to show."""


class Heartbeat:
    """One loop, one request at a time, paced by the cloud."""

    def __init__(
        self, client: CloudClient, owner: Owner, wait_online: Callable[[], Awaitable[object]]
    ) -> None:
        self._client = client
        self._owner = owner
        self._wait_online = wait_online
        self._kicked = asyncio.Event()
        self._answer_soon = False
        self._one = asyncio.Lock()
        self._pending: list[CommandAck] = []
        self.last_answer: str | None = None
        self.last_failure: str | None = None
        self._came_back: list[Callable[[], None]] = []

    def when_back(self, action: Callable[[], None]) -> None:
        """Calls `action` whenever the cloud answers again after it did not."""
        self._came_back.append(action)

    def kick(self) -> None:
        """Beat now: something changed that the owner is waiting to see."""
        self._kicked.set()

    def wake(self) -> None:
        """The cloud says that something waits: fetch it now, and say soon what became of it."""
        self._answer_soon = True
        self._kicked.set()

    async def run(self) -> None:
        """Beats until cancelled, whenever the station is claimed and online."""
        while True:
            await self._wait_online()
            pause = await self._beat_safely()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):  # wait_for of Python 3.11 may swallow a cancellation
                    await self._kicked.wait()
            self._kicked.clear()

    async def _beat_safely(self) -> float:
        try:
            pause = await self.beat()
        except Unreachable as error:
            self._say(str(error))
            return RETRY_S
        except Refused as refusal:
            self._say(f"refused: {refusal}")
            if refusal.reason == RELEASED:
                await self._owner.released()
            return max(RETRY_S, refusal.retry_after or 0.0)
        self._say(None)
        return pause

    @property
    def heard(self) -> bool:
        """Whether the last heartbeat of this start was answered."""
        return self.last_answer is not None and self.last_failure is None

    def _say(self, failure: str | None) -> None:
        """A fault is logged once per episode, not once per beat."""
        before, self.last_failure = self.last_failure, failure
        if failure is not None and failure != before:
            log.warning("heartbeat: %s", failure)
        if failure is None and before is not None:
            log.info("heartbeat: answered again")
            for action in self._came_back:
                action()

    async def beat(self) -> float:
        """One heartbeat; returns the seconds until the next. Raises `Unreachable` or `Refused`."""
        async with self._one:
            credentials = self._owner.credentials()
            if credentials is None:
                return RETRY_S
            answer = await self._send(credentials)
            await self._take(answer)
            soon, self._answer_soon = self._answer_soon and bool(self._pending), False
            if soon:
                return FASTEST_S
            return min(max(float(answer.next_heartbeat_in), FASTEST_S), SLOWEST_S)

    async def _send(self, credentials: Credentials) -> HeartbeatAnswer:
        """Acknowledgements stay until an answer shows that the cloud has them."""
        acks = self._pending[:MOST_ACKS]
        request = msgspec.structs.replace(await self._owner.describe(), command_acks=acks)
        reply = await self._client.send(
            "POST", f"/v1/devices/{credentials.device_id}/heartbeat", msgspec.json.encode(request)
        )
        answer = reply.read(HeartbeatAnswer)
        del self._pending[: len(acks)]
        return answer

    async def _take(self, answer: HeartbeatAnswer) -> None:
        self.last_answer = answer.server_time
        if answer.device_name:
            await self._owner.renamed(answer.device_name)
        if answer.config_updates is not None:
            self._owner.configured(answer.config_updates)
        for command in answer.commands:
            if any(ack.id == command.id for ack in self._pending):
                continue
            log.warning("command %s (%s) is not supported by this version", command.id, command.type)
            self._pending.append(CommandAck(id=command.id, state="REJECTED", detail="unsupported"))
        self._owner.advised(answer)
