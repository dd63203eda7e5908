"""Token buckets by purpose and key: who may do what how often. What survives a restart is in `limit_store`.

The caller pays, never a victim. Two kinds of purpose differ in what happens when the store fails: what
stations do all day is counted in memory and goes on; everything else (claims, codes, sign-ins) is counted in
the store with each try, and refused while the store is out of order.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable

from cloud.errors import StoreError
from cloud.security.limit_store import Kept, LimitStore
from protocol.errors import Refusal
from protocol.limits import Bucket, Rate, take

log = logging.getLogger(__name__)

_MOST_BUCKETS = 200_000
"""About 40 MB. Beyond it the fullest buckets go first: they lose nothing."""

IN_MEMORY = frozenset({"heartbeat", "data", "question", "audit"})
"""Counted without a write for each: kept in batches, and open when the store fails."""


class Limits:
    """All buckets. `monotonic` is in seconds. Without a store all is lost at the end."""

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, store: LimitStore | None = None
    ) -> None:
        self._monotonic = monotonic
        self._store = store
        self._buckets: dict[tuple[str, str], tuple[Bucket, Rate]] = {}
        self.violations: Counter[str] = Counter()
        """Refused tries by purpose, since the start."""
        self.blocked: Counter[str] = Counter()
        """Callers that were shut out for an hour, by purpose."""

    async def take(self, purpose: str, key: str, rate: Rate) -> None:
        """Takes one token. Raises `Refusal` REG-006 with `retry_after` when there is none, REG-009 when
        nobody can say."""
        if self._store is None or purpose in IN_MEMORY:
            wait = self._take_here(purpose, key, rate)
        else:
            wait = await self._take_there(self._store, purpose, key, rate)
        if wait > 0:
            self.violations[purpose] += 1
            raise Refusal(
                "REG-006", "rate_limited", "This came too often. Wait a little.", retry_after=math.ceil(wait)
            )

    def _take_here(self, purpose: str, key: str, rate: Rate) -> float:
        known = self._buckets.get((purpose, key))
        bucket, wait = take(known[0] if known else None, rate, self._monotonic())
        self._buckets[purpose, key] = (bucket, rate)
        if len(self._buckets) > _MOST_BUCKETS:
            self.forget_idle()
        return wait

    async def _take_there(self, store: LimitStore, purpose: str, key: str, rate: Rate) -> float:
        try:
            charged = await store.charge(purpose, key, rate)
        except StoreError as error:
            log.error("limits cannot be counted, so %s is refused: %s", purpose, error)
            raise Refusal(
                "REG-009",
                "limits_unavailable",
                "The cloud cannot count now. Try again later.",
                retry_after=30,
            ) from None
        self.blocked[purpose] += charged.blocked_now
        return charged.wait

    async def load(self) -> None:
        """Takes up what was kept of the buckets in memory. A store that fails is logged: they begin full."""
        if self._store is None:
            return
        try:
            kept = await self._store.load(IN_MEMORY)
        except StoreError as error:
            log.error("limits begin anew: %s", error)
            return
        now, now_ms = self._monotonic(), self._store.unix_ms()
        for purpose, key, one in kept:
            age = max(0.0, (now_ms - one.at_ms) / 1000)
            self._buckets[purpose, key] = (Bucket(one.tokens, now - age), one.rate)

    async def keep(self) -> None:
        """Writes down every bucket in memory that is less than half full, and forgets what is full again.

        One that is fuller has little to lose, so a fleet that beats as it should costs no write at all.
        """
        if self._store is None:
            return
        self.forget_idle()
        now, now_ms = self._monotonic(), self._store.unix_ms()
        low = [
            (purpose, key, Kept(bucket.tokens, now_ms - int((now - bucket.at) * 1000), rate))
            for (purpose, key), (bucket, rate) in self._buckets.items()
            if purpose in IN_MEMORY and _level(bucket, rate, now) < rate.burst / 2
        ]
        await self._store.keep(low)

    def forget_idle(self) -> None:
        """Drops every bucket that is full again by now, and if that is not enough, the oldest half."""
        now = self._monotonic()
        self._buckets = {
            key: (bucket, rate)
            for key, (bucket, rate) in self._buckets.items()
            if _level(bucket, rate, now) < rate.burst
        }
        if len(self._buckets) > _MOST_BUCKETS:
            by_age = sorted(self._buckets.items(), key=lambda entry: entry[1][0].at)
            self._buckets = dict(by_age[len(by_age) // 2 :])


def _level(bucket: Bucket, rate: Rate, now: float) -> float:
    return bucket.tokens + (now - bucket.at) * rate.count / rate.seconds
