"""The drain: one task that takes the most urgent messages to the uplink whenever the breaker allows.

Between two batches it looks again, so a critical message waits for one batch at most; and critical ones go
alone, so nothing else can make them fail. Cancelled at any point, it leaves no lease behind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Protocol

from buffer.backoff import LADDER, Random, ladder_delay
from buffer.breaker import Breaker, BreakerPolicy, BreakerSnapshot, BreakerState
from buffer.clock import Clock
from buffer.errors import BufferClosed, StoreError
from buffer.message import Message, Priority
from buffer.store import Store
from buffer.uplink import Delivered, Outcome, Rejected, Retry, Uplink, UplinkDown

_LOG = logging.getLogger(__name__)
_META_KEY = "breaker"


class MediaKeeper(Protocol):
    """Who deletes media files that no message needs any more."""

    async def collect(self, hashes: set[str]) -> int:
        """Delete those of these that are free."""


@dataclass(frozen=True, slots=True)
class DrainPolicy:
    """The numbers; times in seconds, sizes in bytes of payload."""

    batch_count: int = 50
    batch_bytes: int = 256 * 1024
    idle_wait: float = 30.0
    expire_every: float = 60.0
    critical_probe_every: float = 30.0
    uncounted_wait: float = 30.0
    ladder: tuple[float, ...] = LADDER
    store_wait: float = 5.0
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)


@dataclass(frozen=True, slots=True)
class Progress:
    """How the upload goes, in this run; `last_upload_at` also from earlier ones."""

    last_upload_at: datetime | None
    delivered: int
    rejected: int
    retried: int
    in_flight: int
    breaker: BreakerSnapshot


class Drain:
    """Takes messages from one store to one uplink. `run` it in a task of its own."""

    def __init__(
        self,
        store: Store,
        uplink: Uplink,
        *,
        clock: Clock,
        random: Random,
        policy: DrainPolicy | None = None,
        media: MediaKeeper | None = None,
    ) -> None:
        self._store = store
        self._uplink = uplink
        self._clock = clock
        self._random = random
        self._policy = policy or DrainPolicy()
        self._media = media
        self._breaker = Breaker(random, self._policy.breaker)
        self._remembered = (BreakerState.CLOSED, False)
        self._expired_at = float("-inf")
        self._in_flight = 0
        self._delivered = 0
        self._rejected = 0
        self._retried = 0

    async def run(self) -> None:
        """Work until cancelled. Raises BufferClosed when the store is closed under it."""
        await self._recall()
        while True:
            try:
                await self._step()
            except BufferClosed:
                raise
            except StoreError:
                # A disk with a bad day must not end the upload: what was sent twice is told apart by uuid.
                _LOG.exception("the drain cannot use the buffer, next try in %g s", self._policy.store_wait)
                await asyncio.sleep(self._policy.store_wait)

    def kick(self) -> None:
        """The link came up: try now, whatever the breaker waits for."""
        self._breaker.probe_now(self._now())
        self._store.wake()

    def progress(self) -> Progress:
        """How the upload goes."""
        return Progress(
            self._store.last_delivered_at,
            self._delivered,
            self._rejected,
            self._retried,
            self._in_flight,
            self._breaker.snapshot(self._now()),
        )

    async def _step(self) -> None:
        await self._tidy()
        if wait := self._wait():
            await self._store.wait_for_work(min(wait, self._policy.expire_every), Priority.CRITICAL)
        elif batch := await self._next_batch():
            await self._deliver(batch)
        else:
            await self._store.wait_for_work(self._policy.idle_wait)

    # -- the next batch ----------------------------------------------------------------------------------

    def _wait(self) -> float:
        """Seconds to wait; something critical cuts it short, though not again and again."""
        now = self._now()
        wait = self._breaker.wait(now)
        if wait == 0 or not self._store.waiting(Priority.CRITICAL):
            return wait
        every = self._policy.critical_probe_every
        if self._breaker.probe_now(now, at_most_every=every):
            return self._breaker.wait(now)
        return min(wait, every - self._breaker.forced_ago(now))

    async def _next_batch(self) -> list[Message]:
        """The most urgent messages; the critical ones alone, a single message while on probation."""
        limit = self._policy.batch_count if self._breaker.state is BreakerState.CLOSED else 1
        size = self._policy.batch_bytes
        critical = [Priority.CRITICAL]
        if self._store.waiting(Priority.CRITICAL):
            batch = await self._store.lease(limit, priorities=critical, max_bytes=size)
            if batch:
                return batch
        others = [priority for priority in Priority if priority is not Priority.CRITICAL]
        return await self._store.lease(limit, priorities=others, max_bytes=size)

    # -- one batch ---------------------------------------------------------------------------------------

    async def _deliver(self, batch: Sequence[Message]) -> None:
        self._in_flight = len(batch)
        try:
            self._breaker.begin(self._now())
            outcomes = await self._uplink.deliver(batch)
            if len(outcomes) != len(batch):
                raise ValueError(f"{len(outcomes)} outcomes for {len(batch)} messages")
            self._breaker.succeeded(self._now())
            await self._settle(batch, outcomes)
        except UplinkDown as down:
            self._note_failure(down)
        finally:
            # What was settled has no lease any more; the rest is free again, also when we are cancelled.
            self._store.release([message.id for message in batch])
            self._in_flight = 0
        await self._remember()

    async def _settle(self, batch: Sequence[Message], outcomes: Sequence[Outcome]) -> None:
        """Tell the store what became of each; calls made together share one commit."""
        pairs = list(zip(batch, outcomes, strict=True))
        done = [message.id for message, outcome in pairs if isinstance(outcome, Delivered)]
        calls: list[Coroutine[None, None, object]] = [self._store.ack(done)] if done else []
        calls += [self._nack(message, outcome) for message, outcome in pairs if isinstance(outcome, Retry)]
        calls += [
            self._store.nack(ids, reason=reason, retry_in=None, permanent=True)
            for reason, ids in _rejected(pairs)
        ]
        await _together(calls)
        self._delivered += len(done)
        self._retried += sum(isinstance(outcome, Retry) for outcome in outcomes)
        self._rejected += sum(isinstance(outcome, Rejected) for outcome in outcomes)

    async def _nack(self, message: Message, outcome: Retry) -> None:
        delay = outcome.after
        if delay is None:
            delay = ladder_delay(message.retry_count + 1, self._random, self._policy.ladder)
        await self._store.nack([message.id], reason=outcome.reason, retry_in=delay)

    def _note_failure(self, down: UplinkDown) -> None:
        now = self._now()
        first = self._breaker.snapshot(now).failures_in_row == 0
        if down.counts:
            self._breaker.failed(now, down.reason)
        hold = down.retry_after
        if hold is None and not down.counts:
            hold = self._policy.uncounted_wait
        if hold is not None:
            self._breaker.hold(now, hold, down.reason)
        level = logging.WARNING if first or self._breaker.state is not self._remembered[0] else logging.DEBUG
        _LOG.log(level, "the uplink is down (%s), breaker %s", down.reason, self._breaker.state)

    # -- upkeep ------------------------------------------------------------------------------------------

    async def _tidy(self) -> None:
        now = self._now()
        if now - self._expired_at >= self._policy.expire_every:
            self._expired_at = now
            await self._store.expire()
        if self._media is not None and (freed := self._store.take_freed_media()):
            await self._media.collect(freed)

    async def _recall(self) -> None:
        """The breaker as the last run left it."""
        text = await self._store.get_meta(_META_KEY)
        if text is not None:
            self._breaker = Breaker.decode(text, self._now(), self._random, self._policy.breaker)

    async def _remember(self) -> None:
        """Write the breaker down when it changed its mind, not with every try: a note wears the card."""
        now = self._now()
        snapshot = self._breaker.snapshot(now)
        if (snapshot.state, snapshot.held) != self._remembered:
            self._remembered = (snapshot.state, snapshot.held)
            await self._store.set_meta(_META_KEY, self._breaker.encode(now))

    def _now(self) -> float:
        return self._clock.boottime()


async def _together(calls: Sequence[Coroutine[None, None, object]]) -> None:
    """All of these at once. Raises the first StoreError when some fail."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for call in calls:
                tasks.create_task(call)
    except* StoreError as errors:
        raise errors.exceptions[0] from None


def _rejected(pairs: Sequence[tuple[Message, Outcome]]) -> list[tuple[str, list[int]]]:
    """Ids of what will never be taken, by reason: a reason is written down once for all it concerns."""
    found = sorted(
        (outcome.reason, message.id) for message, outcome in pairs if isinstance(outcome, Rejected)
    )
    return [
        (reason, [message_id for _, message_id in group])
        for reason, group in groupby(found, key=lambda pair: pair[0])
    ]
