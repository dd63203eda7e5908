"""Tells a person what became of their claims, after the commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import msgspec

from cloud.realtime.bus import Bus
from cloud.registry import records, views
from cloud.store.engine import Database
from protocol.messages import ClaimStatus

_REMEMBERED = 10_000


class ClaimNews:
    """Publishes the state of records as it stands in the store. `interval` (s) is the advice for polling."""

    def __init__(self, database: Database, bus: Bus, interval: int, unix_ms: Callable[[], int]) -> None:
        self._db, self._bus, self._interval, self._unix_ms = database, bus, interval, unix_ms
        self._said: dict[str, tuple[str, int]] = {}
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._wake: Callable[[], None] = lambda: None

    def ask(self, account_id: str) -> None:
        """Something waits for this person's answer: their pages look again."""
        self._bus.publish(account_id, "storage-question", {})

    def when_put(self, wake: Callable[[], None]) -> None:
        """`wake` is called after every commit that may have put something into the queue."""
        self._wake = wake

    def put(self) -> None:
        """Something may wait in the queue."""
        self._wake()

    @contextmanager
    def watching(self, claim_id: str) -> Iterator[asyncio.Event]:
        """An event that is set at the next change of a claim, from now on."""
        event = asyncio.Event()
        self._waiting.setdefault(claim_id, set()).add(event)
        try:
            yield event
        finally:
            self._waiting[claim_id].discard(event)
            if not self._waiting[claim_id]:
                del self._waiting[claim_id]

    async def publish(self, claim_ids: Iterable[str]) -> None:
        """One message per record that belongs to somebody."""
        for claim_id in claim_ids:
            for waiting in self._waiting.get(claim_id, ()):
                waiting.set()
            row = await self._db.read(partial(records.find, claim_id=claim_id))
            if row is not None and row.account_id:
                told = views.status(row, self._interval, self._unix_ms())
                if self._is_news(told):
                    self._bus.publish(row.account_id, "claim-status", msgspec.to_builtins(told))

    def _is_news(self, told: ClaimStatus) -> bool:
        """Not what was said last of this claim: the queue repeats what a death of the cloud may have cost."""
        said = (told.status, told.progress)
        if self._said.get(told.claim_id) == said:
            return False
        self._said[told.claim_id] = said
        if len(self._said) > _REMEMBERED:
            del self._said[next(iter(self._said))]
        return True
