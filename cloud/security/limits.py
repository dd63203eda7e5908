"""Token buckets by purpose and key: who may do what how often. Kept in memory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from protocol.errors import Refusal
from protocol.limits import Bucket, Rate, take

_MOST_BUCKETS = 200_000
"""About 40 MB. Beyond it the fullest buckets go first: they lose nothing."""


class Limits:
    """All buckets of this process. The caller pays, never a victim. `monotonic` is in seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._buckets: dict[tuple[str, str], tuple[Bucket, Rate]] = {}

    async def take(self, purpose: str, key: str, rate: Rate) -> None:
        """Takes one token. Raises `Refusal` REG-006 with `retry_after` when there is none."""
        now = self._monotonic()
        known = self._buckets.get((purpose, key))
        bucket, wait = take(known[0] if known else None, rate, now)
        self._buckets[purpose, key] = (bucket, rate)
        if len(self._buckets) > _MOST_BUCKETS:
            self.forget_idle()
        if wait > 0:
            raise Refusal(
                "REG-006", "rate_limited", "This came too often. Wait a little.", retry_after=math.ceil(wait)
            )

    def forget_idle(self) -> None:
        """Drops every bucket that is full again by now, and if that is not enough, the oldest half."""
        now = self._monotonic()
        self._buckets = {
            key: (bucket, rate)
            for key, (bucket, rate) in self._buckets.items()
            if bucket.tokens + (now - bucket.at) * rate.count / rate.seconds < rate.burst
        }
        if len(self._buckets) > _MOST_BUCKETS:
            by_age = sorted(self._buckets.items(), key=lambda entry: entry[1][0].at)
            self._buckets = dict(by_age[len(by_age) // 2 :])
