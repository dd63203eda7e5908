"""Keeps the station's uploads inside the cloud's limit, also when a night's backlog is sent at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from protocol.limits import DEVICE_DATA, Bucket, Rate, take

UPLOADS = Rate(count=DEVICE_DATA.count * 9 // 10, seconds=DEVICE_DATA.seconds, burst=DEVICE_DATA.burst // 2)
"""In any hour at most 950 requests, with the burst: the rest is for critical messages and for repeats."""


class Pace:
    """A token bucket. `now` gives monotonic seconds."""

    def __init__(
        self,
        now: Callable[[], float],
        rate: Rate = UPLOADS,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._now = now
        self._rate = rate
        self._sleep = sleep
        self._bucket: Bucket | None = None

    async def turn(self, *, urgent: bool = False) -> None:
        """Returns when a request may go. An urgent one goes at once, and the next ones wait for it."""
        while True:
            self._bucket, wait = take(self._bucket, self._rate, self._now())
            if not wait:
                return
            if urgent:
                self._bucket = Bucket(self._bucket.tokens - 1, self._bucket.at)
                return
            await self._sleep(wait)
