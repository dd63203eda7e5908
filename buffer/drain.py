"""The drain: a task that takes the most urgent messages of a lane to the uplink whenever its breaker allows.

There is one for each lane, so a large transfer neither delays an event nor stops it when it fails. Between
two batches it looks again, so a critical message waits for one batch at most; and critical ones go alone, so
nothing else can make them fail. A probe is one message, and another one than the last that was sent and
failed, so that a message which the endpoint cannot bear does not keep the breaker open. Cancelled at any
point, it leaves no lease behind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from buffer.backoff import LADDER, Random
from buffer.breaker import Breaker, BreakerPolicy, BreakerSnapshot, BreakerState
from buffer.clock import Clock
from buffer.confirmation import Confirmation, ConfirmPolicy
from buffer.degradation import Duties
from buffer.errors import BufferClosed, StoreError
from buffer.message import Lane, Message, Priority
from buffer.settlement import Settlement
from buffer.slowstart import SPREAD_S, STEPS, SlowStart
from buffer.store import Store
from buffer.uplink import Retry, Uplink, UplinkDown

_LOG = logging.getLogger(__name__)
_META_KEYS = {Lane.EXPRESS: "breaker", Lane.BULK: "breaker of bulk"}
_OTHER_PROBES = 20
"""How far the drain looks for a message that has not failed as a probe."""


class MediaKeeper(Protocol):
    """Who deletes media files that no message needs any more."""

    async def collect(self, hashes: set[str]) -> int:
        """Delete those of these that are free."""


@dataclass(frozen=True, slots=True)
class DrainPolicy:
    """The numbers; times in seconds, sizes in bytes of payload. `newest_first` inside a class."""

    batch_count: int = 100
    batch_bytes: int = 1024 * 1024
    idle_wait: float = 30.0
    expire_every: float = 60.0
    critical_probe_every: float = 30.0
    uncounted_wait: float = 30.0
    ladder: tuple[float, ...] = LADDER
    store_wait: float = 5.0
    spread: float = SPREAD_S
    steps: tuple[int, ...] = STEPS
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    confirm: ConfirmPolicy = field(default_factory=ConfirmPolicy)
    newest_first: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How the upload goes, in this run; `last_upload_at` also from earlier ones.

    After an outage `batch_limit` is the size of the next batch, and `bulk_in` the seconds until anything but
    critical messages goes. `unconfirmed` got a yes and are asked about again; `missing` were sent again
    because their yes was worth nothing.
    """

    last_upload_at: datetime | None
    delivered: int
    rejected: int
    retried: int
    in_flight: int
    breaker: BreakerSnapshot
    batch_limit: int | None = None
    bulk_in: float = 0.0
    unconfirmed: int = 0
    missing: int = 0


class Drain:
    """Takes the messages of one lane from a store to an uplink. `run` it in a task of its own."""

    def __init__(
        self,
        store: Store,
        uplink: Uplink,
        *,
        clock: Clock,
        random: Random,
        policy: DrainPolicy | None = None,
        media: MediaKeeper | None = None,
        lane: Lane = Lane.EXPRESS,
    ) -> None:
        """`media` is told of files that nobody needs any more. The express lane also drops what expired."""
        self._store = store
        self._uplink = uplink
        self._clock = clock
        self._random = random
        self._policy = policy or DrainPolicy()
        self._media = media
        self._lane = lane
        self._bell = store.bell()
        self._settlement = Settlement(store, random, self._policy.ladder)
        self._confirmation = Confirmation(store, uplink, self._policy.confirm)
        self._breaker = Breaker(random, self._policy.breaker)
        self._slow = SlowStart(random, steps=self._policy.steps, spread=self._policy.spread)
        self._shared = False
        self._duties = Duties()
        self._window_at = float("-inf")
        self._failed_probes: set[int] = set()
        self._remembered: tuple[object, ...] = self._worth_remembering()
        self._expired_at = float("-inf")
        self._in_flight = 0

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
        """Our own link came up, or a person asks: try now, whatever the breaker waits for."""
        self._shared = False
        self._slow.no_spread(self._now())
        self._window_at = float("-inf")
        self.probe()

    def begin_anew(self) -> None:
        """Other credentials count from now on: what the endpoint asked of the former ones does not."""
        self._breaker.end_hold(self._now())
        self.kick()

    def probe(self) -> None:
        """The endpoint seems to be back: try now, though the other stations may be back as well."""
        self._breaker.probe_now(self._now())
        self._store.wake()

    def obey(self, duties: Duties) -> None:
        """What the level of degradation asks of uploads; critical messages go at once under all of them."""
        if duties != self._duties:
            self._duties = duties
            self._window_at = float("-inf")
            self._store.wake()

    def spread_over(self, seconds: float) -> None:
        """The cloud names the time over which its stations come back after an outage."""
        self._slow.spread_over(seconds, self._now())
        self._store.wake()

    @property
    def in_flight(self) -> int:
        """How many messages are being sent."""
        return self._in_flight

    def progress(self) -> Progress:
        """How the upload goes."""
        return Progress(
            self._store.last_delivered_at,
            self._settlement.delivered,
            self._settlement.rejected,
            self._settlement.retried,
            self._in_flight,
            self._breaker.snapshot(self._now()),
            self._slow.limit,
            self._bulk_wait(self._now()),
            self._confirmation.count,
            self._confirmation.missing,
        )

    async def _step(self) -> None:
        await self._tidy()
        if self._question_wait() == 0:
            await self._confirmation.ask(self._now())
        elif wait := self._wait():
            await self._look_again_in(min(wait, self._policy.expire_every), Priority.CRITICAL)
        elif batch := await self._next_batch():
            await self._deliver(batch)
        else:
            await self._rest()

    async def _rest(self) -> None:
        """Nothing may go now; the critical end every rest."""
        if self._duties.batch_every is not None and not self._bulk_wait(self._now()):
            self._window_at = self._now() + self._duties.batch_every * (0.9 + 0.2 * self._random())
        if wait := self._bulk_wait(self._now()):
            await self._look_again_in(min(wait, self._policy.expire_every), Priority.CRITICAL)
        else:
            await self._look_again_in(self._policy.idle_wait, Priority.LOW)

    async def _look_again_in(self, seconds: float, priority: Priority) -> None:
        await self._store.wait_for_work(self._bell, min(seconds, self._question_wait()), priority)

    def _question_wait(self) -> float:
        """Seconds until it is asked whether what was sent is kept; not while the endpoint is in trouble."""
        now = self._now()
        well = self._breaker.state is BreakerState.CLOSED and self._breaker.wait(now) == 0
        return self._confirmation.wait(now) if well else float("inf")

    @property
    def _urgent(self) -> bool:
        """Whether something critical waits in this lane."""
        return self._lane is Lane.EXPRESS and self._store.waiting(Priority.CRITICAL) > 0

    def _bulk_wait(self, now: float) -> float:
        """Seconds until anything but a critical message may go: after an outage, and between two windows."""
        return max(self._slow.wait(now), self._window_at - now, 0.0)

    # -- the next batch ----------------------------------------------------------------------------------

    def _wait(self) -> float:
        """Seconds to wait; something critical cuts it short, though not again and again."""
        now = self._now()
        wait = self._breaker.wait(now)
        if wait == 0 or not self._urgent:
            return wait
        every = self._policy.critical_probe_every
        if self._breaker.probe_now(now, at_most_every=every):
            return self._breaker.wait(now)
        return min(wait, every - self._breaker.forced_ago(now))

    async def _next_batch(self) -> list[Message]:
        """The most urgent messages; the critical ones alone, a single message while on probation."""
        critical = [Priority.CRITICAL]
        if self._urgent:
            batch = await self._lease(critical)
            if batch:
                return batch
        if self._breaker.state is BreakerState.CLOSED and self._bulk_wait(self._now()):
            return []
        return await self._lease([priority for priority in Priority if priority is not Priority.CRITICAL])

    async def _lease(self, priorities: list[Priority]) -> list[Message]:
        if self._breaker.state is BreakerState.CLOSED:
            limit = min(self._policy.batch_count, self._slow.limit or self._policy.batch_count)
            return await self._take(limit, priorities)
        probe = await self._take(1, priorities)
        if not probe or probe[0].id not in self._failed_probes:
            return probe
        try:  # what is leased is not handed out twice, so this finds others
            more = await self._take(_OTHER_PROBES, list(Priority))
        except BaseException:
            self._store.release([probe[0].id])
            raise
        found = [*probe, *more]
        chosen = next((each for each in found if each.id not in self._failed_probes), found[0])
        self._store.release([each.id for each in found if each.id != chosen.id])
        return [chosen]

    async def _take(self, limit: int, priorities: list[Priority]) -> list[Message]:
        size = self._policy.batch_bytes
        return await self._store.lease(
            limit,
            lane=self._lane,
            priorities=priorities,
            max_bytes=size,
            newest_first=self._policy.newest_first,
        )

    # -- one batch ---------------------------------------------------------------------------------------

    async def _deliver(self, batch: Sequence[Message]) -> None:
        self._in_flight = len(batch)
        try:
            self._breaker.begin(self._now())
            outcomes = await self._uplink.deliver(batch)
            if len(outcomes) != len(batch):
                raise ValueError(f"{len(outcomes)} outcomes for {len(batch)} messages")
            if any(not isinstance(each, Retry) or each.proves for each in outcomes):
                self._note_success()
            self._confirmation.add(await self._settlement.settle(batch, outcomes), self._now())
        except UplinkDown as down:
            self._note_failure(batch, down)
        finally:
            # What was settled has no lease any more; the rest is free again, also when we are cancelled.
            self._store.release([message.id for message in batch])
            self._in_flight = 0
        await self._remember()

    def _note_success(self) -> None:
        now, before = self._now(), self._breaker.state
        self._breaker.succeeded(now)
        if self._breaker.state is not BreakerState.CLOSED:
            return
        if before is BreakerState.CLOSED:
            self._slow.succeeded()
            return
        self._slow.recovered(now, shared=self._shared)
        self._failed_probes.clear()
        _LOG.info("the uplink is back; batches grow again, the first in %.0f s", self._slow.wait(now))

    def _note_failure(self, batch: Sequence[Message], down: UplinkDown) -> None:
        now = self._now()
        first = self._breaker.snapshot(now).failures_in_row == 0
        if down.counts:
            if down.sent and self._breaker.state is not BreakerState.CLOSED:
                self._failed_probes.update(message.id for message in batch)
            self._breaker.failed(now, down.reason)
            self._slow.failed()
            self._shared = down.shared
        hold = down.retry_after
        if hold is None and not down.counts:
            hold = self._policy.uncounted_wait
        if hold is not None:
            self._breaker.hold(now, hold, down.reason)
        changed = self._worth_remembering() != self._remembered
        level = logging.WARNING if first or changed else logging.DEBUG
        _LOG.log(level, "the uplink is down (%s), breaker %s", down.reason, self._breaker.state)

    # -- upkeep ------------------------------------------------------------------------------------------

    async def _tidy(self) -> None:
        now = self._now()
        if self._lane is Lane.EXPRESS and now - self._expired_at >= self._policy.expire_every:
            self._expired_at = now
            await self._store.expire()
        if self._media is not None and (freed := self._store.take_freed_media()):
            await self._media.collect(freed)

    async def _recall(self) -> None:
        """The breaker as the last run left it."""
        text = await self._store.get_meta(_META_KEYS[self._lane])
        if text is not None:
            self._breaker = Breaker.decode(text, self._now(), self._random, self._policy.breaker)
            self._remembered = self._worth_remembering()

    async def _remember(self) -> None:
        """Write the breaker down when it changed its mind, not with every try: a note wears the card."""
        if (worth := self._worth_remembering()) != self._remembered:
            self._remembered = worth
            await self._store.set_meta(_META_KEYS[self._lane], self._breaker.encode(self._now()))

    def _worth_remembering(self) -> tuple[object, ...]:
        """Each opening too: a program that falls over while it probes must not begin at the shortest wait."""
        snapshot = self._breaker.snapshot(self._now())
        return snapshot.state, snapshot.held, snapshot.openings

    def _now(self) -> float:
        return self._clock.boottime()
