"""Messages that may wait a moment for company, so that many share one write to the card.

They are in memory until then: whoever must not lose a message uses `Store.put`.
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
LIMIT_BYTES = 4 * 1024 * 1024
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
        self._dropped = 0
        self._timer: asyncio.TimerHandle | None = None
        self._writing: set[asyncio.Future[int]] = set()

    async def add(self, draft: Draft) -> None:
        """Take one more. Normal waits while there is too much, Low pushes the oldest Low out."""
        size = len(draft.payload) + _ROW_BYTES
        if draft.priority is Priority.LOW:
            self._drop_low(size)
        while self._waiting and self._size + size > LIMIT_BYTES:
            self.flush()
            await asyncio.wait(self._writing)
        self._waiting.append((draft, self._now()))
        self._size += size
        self._wake_in(LINGER_SECONDS[draft.priority])

    def flush(self) -> None:
        """Hand everything to the writer now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting and not self._dropped:
            return
        batch, size, dropped = list(self._waiting), self._size, self._dropped
        self._waiting.clear()
        self._size = self._dropped = 0
        work = self._writer.submit(lambda c: _put_all(c, self._state, batch, dropped), writes=True, size=size)
        self._writing.add(work)
        work.add_done_callback(self._written)

    async def finish(self) -> None:
        """Write everything. What fails is logged. Raises BufferClosed when it is too late for that."""
        self.flush()
        if self._writing:
            await asyncio.wait(self._writing)

    def _drop_low(self, size: int) -> None:
        while self._size + size > LIMIT_BYTES:
            old = next((entry for entry in self._waiting if entry[0].priority is Priority.LOW), None)
            if old is None:
                return
            self._waiting.remove(old)
            self._size -= len(old[0].payload) + _ROW_BYTES
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


def _put_all(connection: sqlite3.Connection, state: State, batch: Sequence[_Waiting], dropped: int) -> int:
    """Store all; those that do not fit are counted as dropped. How many were stored."""
    stored = 0
    for draft, now in batch:
        try:
            put(connection, state, draft, now)
            stored += 1
        except StoreError as error:
            _LOG.warning("a message of priority %s was given up: %s", draft.priority.name, error)
    state.tally.dropped += dropped + len(batch) - stored
    return stored
