"""Asking again, later and apart from the upload, whether the other side kept what it said yes to.

A yes may be worth nothing: a server that answers before it commits and then dies, one that is restored from
a copy, a box on the way that answers in its place. So a message that got a yes stays on the disk, held, until
a second question finds it there; only then it is deleted, many at once. What is missing waits again under its
old id, so the other side never has it twice.

1. The question comes `after` seconds, or sooner when `most` messages are held.
2. A question that finds no answer is asked again, less and less often; nothing is deleted meanwhile.
3. Above `limit` the oldest are taken as kept: a cloud that never answers the question must not fill the disk.
4. What goes missing again and again is sent again later and later, so that a broken cloud is not hammered.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from buffer.store import Store
from buffer.uplink import Uplink, UplinkDown

_LOG = logging.getLogger(__name__)
_REMEMBERED = 10_000
_MISSING = "the cloud said yes and then did not have it"


@dataclass(frozen=True, slots=True)
class ConfirmPolicy:
    """The numbers; times in seconds, the others in messages."""

    after: float = 30.0
    most: int = 500
    limit: int = 2000
    ask_again: tuple[float, ...] = (30.0, 60.0, 300.0)
    send_again: tuple[float, ...] = (0.0, 60.0, 300.0, 900.0)


class Confirmation:
    """What one drain has sent and not yet confirmed. Used by that drain's task alone."""

    def __init__(self, store: Store, uplink: Uplink, policy: ConfirmPolicy) -> None:
        self._store = store
        self._uplink = uplink
        self._policy = policy
        self._receipts: dict[int, str] = {}
        self._missed: dict[int, int] = {}
        self._due = float("inf")
        self._failures = 0
        self.missing = 0
        """How many were sent again because their yes was worth nothing."""

    @property
    def count(self) -> int:
        """How many are held."""
        return len(self._receipts)

    def add(self, receipts: dict[int, str], now: float) -> None:
        """These message ids, with what to ask for by, got a yes and are held."""
        if not self._receipts and receipts:
            self._due = now + self._policy.after
        self._receipts.update(receipts)
        if len(self._receipts) >= self._policy.most and not self._failures:
            self._due = now

    def wait(self, now: float) -> float:
        """Seconds until the next question; infinite when there is nothing to ask."""
        return max(0.0, self._due - now)

    async def ask(self, now: float) -> None:
        """One question. Raises `StoreError` when the disk has a bad day; nothing is forgotten then."""
        asked = dict(islice(self._receipts.items(), self._policy.most))
        try:
            known = await self._uplink.kept(list(asked.values()))
        except UplinkDown as down:
            await self._unanswered(now, down.reason)
            return
        self._failures = 0
        pairs = list(zip(asked, known, strict=True))
        await self._store.ack([message_id for message_id, kept in pairs if kept])
        await self._send_again([message_id for message_id, kept in pairs if not kept])
        for message_id, kept in pairs:
            del self._receipts[message_id]
            if kept:
                self._missed.pop(message_id, None)
        self._due = now + self._policy.after if self._receipts else float("inf")
        if len(self._receipts) >= self._policy.most:
            self._due = now

    async def _unanswered(self, now: float, reason: str) -> None:
        self._failures += 1
        self._due = now + self._policy.ask_again[min(self._failures, len(self._policy.ask_again)) - 1]
        _LOG.log(
            logging.INFO if self._failures == 1 else logging.DEBUG,
            "whether %d messages were kept is asked later: %s", len(self._receipts), reason,
        )  # fmt: skip
        oldest = list(islice(self._receipts, max(0, len(self._receipts) - self._policy.limit)))
        if oldest:
            await self._store.ack(oldest)
            for message_id in oldest:
                del self._receipts[message_id]

    async def _send_again(self, ids: Sequence[int]) -> None:
        if not ids:
            return
        self.missing += len(ids)
        _LOG.warning("%s: %d messages are sent again", _MISSING, len(ids))
        if len(self._missed) > _REMEMBERED:
            self._missed.clear()
        for message_id in ids:
            before = self._missed.get(message_id, 0)
            self._missed[message_id] = before + 1
            if delay := self._policy.send_again[min(before, len(self._policy.send_again) - 1)]:
                await self._store.nack([message_id], reason=_MISSING, retry_in=delay)
        self._store.forget_yes(ids)
