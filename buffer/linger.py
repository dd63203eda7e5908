"""Messages that may wait a moment for company, so that many share one write to the card.

They are in memory until then: whoever must not lose a message uses `Store.put`. While the station spares disk
and power they wait longer, a newer revision takes the place of an older one that still waits, and Low stays
in a small ring that is written only when the hard times are over or the program stops.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence

from buffer.clock import Stamp
from buffer.enqueue import put
from buffer.errors import StoreError
from buffer.message import Draft, Priority
from buffer.state import State
from buffer.writer import Writer

_LOG = logging.getLogger(__name__)
LINGER_SECONDS = {Priority.NORMAL: 1.0, Priority.LOW: 5.0}
SPARING_SECONDS = 30.0
LIMIT_BYTES = 4 * 1024 * 1024
RING_BYTES = 256 * 1024
"""What the ring of Low may hold while the station spares."""
_ROW_BYTES = 512

_Waiting = tuple[Draft, Stamp]


class Linger:
    """What waits, and the timer that ends it; used on the event loop."""

    def __init__(self, writer: Writer, state: State, now: Callable[[], Stamp]) -> None:
        self._writer = writer
        self._state = state
        self._now = now
        self._waiting: deque[_Waiting] = deque()
        self._size = 0
        self._ring: deque[_Waiting] = deque()
        self._ring_size = 0
        self._sparing = False
        self._dropped = 0
        self._superseded = 0
        self._timer: asyncio.TimerHandle | None = None
        self._writing: set[asyncio.Future[int]] = set()

    async def add(self, draft: Draft) -> None:
        """Take one more. Normal waits while there is too much, Low pushes the oldest Low out."""
        size = _weight(draft)
        if self._sparing and draft.priority is Priority.LOW:
            self._into_ring(draft, size)
            return
        if self._sparing:
            self._coalesce(draft)
        if draft.priority is Priority.LOW:
            self._drop_low(size)
        while self._waiting and self._size + size > LIMIT_BYTES:
            self.flush()
            await asyncio.wait(self._writing)
        self._waiting.append((draft, self._now()))
        self._size += size
        self._wake_in(SPARING_SECONDS if self._sparing else LINGER_SECONDS[draft.priority])

    def spare(self, on: bool) -> None:
        """Begin or end to spare disk and power; at the end the ring is handed to the writer."""
        if self._sparing and not on:
            self._empty_ring()
            self.flush()
        self._sparing = on

    def flush(self) -> None:
        """Hand everything to the writer now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting and not self._dropped:
            return
        batch, size, given_up = list(self._waiting), self._size, (self._dropped, self._superseded)
        self._waiting.clear()
        self._size = self._dropped = self._superseded = 0
        work = self._writer.submit(
            lambda c: _put_all(c, self._state, batch, *given_up), writes=True, size=size
        )
        self._writing.add(work)
        work.add_done_callback(self._written)

    async def finish(self) -> None:
        """Write everything. What fails is logged. Raises BufferClosed when it is too late for that."""
        self._empty_ring()
        self.flush()
        if self._writing:
            await asyncio.wait(self._writing)

    def _into_ring(self, draft: Draft, size: int) -> None:
        self._ring.append((draft, self._now()))
        self._ring_size += size
        while self._ring_size > RING_BYTES:
            old, _ = self._ring.popleft()
            self._ring_size -= _weight(old)
            self._dropped += 1

    def _empty_ring(self) -> None:
        self._waiting.extend(self._ring)
        self._size += self._ring_size
        self._ring.clear()
        self._ring_size = 0

    def _coalesce(self, draft: Draft) -> None:
        """Older revisions of the same thing need not be written any more."""
        if draft.idempotency_key is None:
            return
        old = [entry for entry in self._waiting if _replaces(draft, entry[0])]
        for entry in old:
            self._waiting.remove(entry)
            self._size -= _weight(entry[0])
        self._superseded += len(old)

    def _drop_low(self, size: int) -> None:
        while self._size + size > LIMIT_BYTES:
            old = next((entry for entry in self._waiting if entry[0].priority is Priority.LOW), None)
            if old is None:
                return
            self._waiting.remove(old)
            self._size -= _weight(old[0])
            self._dropped += 1

    def _wake_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        when = loop.time() + seconds
        if self._timer is None or when < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_at(when, self.flush)

    def _written(self, work: asyncio.Future[int]) -> None:
        self._writing.discard(work)
        if not work.cancelled() and (error := work.exception()) is not None:
            _LOG.error("messages that could wait could not be stored: %s", error)


def _weight(draft: Draft) -> int:
    return len(draft.payload) + _ROW_BYTES


def _replaces(draft: Draft, old: Draft) -> bool:
    return old.idempotency_key == draft.idempotency_key and old.revision < draft.revision


def _put_all(
    connection: sqlite3.Connection, state: State, batch: Sequence[_Waiting], dropped: int, superseded: int
) -> int:
    """Store all; those that do not fit are counted as dropped. How many were stored."""
    stored = 0
    for draft, now in batch:
        try:
            put(connection, state, draft, now)
            stored += 1
        except StoreError as error:
            _LOG.warning("a message of priority %s was given up: %s", draft.priority.name, error)
    state.tally.superseded += superseded
    state.tally.dropped += dropped + len(batch) - stored
    return stored
