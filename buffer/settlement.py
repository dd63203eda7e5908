"""Telling the store what became of each message of a batch, with as few commits as can be."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from itertools import groupby

from buffer.backoff import LADDER, Random, ladder_delay
from buffer.errors import StoreError
from buffer.message import Message
from buffer.store import Store
from buffer.uplink import Delivered, Outcome, Rejected, Retry

_Pair = tuple[Message, Outcome]


class Settlement:
    """Counts what it settles, in this run."""

    def __init__(self, store: Store, random: Random, ladder: Sequence[float] = LADDER) -> None:
        """`ladder` in seconds is for messages that the other side asks to hand in later."""
        self._store = store
        self._random = random
        self._ladder = tuple(ladder)
        self.delivered = 0
        self.rejected = 0
        self.retried = 0

    async def settle(self, batch: Sequence[Message], outcomes: Sequence[Outcome]) -> dict[int, str]:
        """What was delivered with a receipt is held, and returned with it; the rest is done with.

        Calls made together share one commit. Raises `StoreError`.
        """
        pairs = list(zip(batch, outcomes, strict=True))
        held = {
            m.id: outcome.receipt
            for m, outcome in pairs
            if isinstance(outcome, Delivered) and outcome.receipt
        }
        done = [m.id for m, outcome in pairs if isinstance(outcome, Delivered) and not outcome.receipt]
        calls: list[Coroutine[None, None, object]] = [self._store.ack(done)] if done else []
        if held:
            calls.append(self._store.hold(held))
        calls += [self._nack(message, outcome) for message, outcome in pairs if isinstance(outcome, Retry)]
        calls += [
            self._store.nack(ids, reason=reason, retry_in=None, permanent=True)
            for reason, ids in _rejected(pairs)
        ]
        await _together(calls)
        self.delivered += len(done) + len(held)
        self.retried += sum(isinstance(outcome, Retry) for outcome in outcomes)
        self.rejected += sum(isinstance(outcome, Rejected) for outcome in outcomes)
        return held

    async def _nack(self, message: Message, outcome: Retry) -> None:
        delay = outcome.after
        if delay is None:
            delay = ladder_delay(message.retry_count + 1, self._random, self._ladder)
        await self._store.nack([message.id], reason=outcome.reason, retry_in=delay)


async def _together(calls: Sequence[Coroutine[None, None, object]]) -> None:
    """All of these at once. Raises the first StoreError when some fail."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for call in calls:
                tasks.create_task(call)
    except* StoreError as errors:
        raise errors.exceptions[0] from None


def _rejected(pairs: Sequence[_Pair]) -> list[tuple[str, list[int]]]:
    """Ids of what will never be taken, by reason: a reason is written down once for all it concerns."""
    found = sorted(
        (outcome.reason, message.id) for message, outcome in pairs if isinstance(outcome, Rejected)
    )
    return [
        (reason, [message_id for _, message_id in group])
        for reason, group in groupby(found, key=lambda pair: pair[0])
    ]
