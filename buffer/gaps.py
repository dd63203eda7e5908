"""What was given up without being sent, so that the cloud can know exactly what is missing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from buffer.capacity import shortage
from buffer.clock import Stamp
from buffer.enqueue import put
from buffer.message import Draft, Priority, Receipt
from buffer.state import State
from buffer.timeline import from_ms

_PER_REPORT = 100


@dataclass(frozen=True, slots=True)
class Gap:
    """`count` messages with `bytes` of payload went for this reason (evicted, expired); their ids lie between
    `first_id` and `last_id`. `at` is wall time, right or not."""

    reason: str
    priority: Priority
    first_id: int
    last_id: int
    count: int
    bytes: int
    at: datetime


def read_gaps(connection: sqlite3.Connection, limit: int) -> list[Gap]:
    """The oldest of them."""
    return [gap for _, gap in _numbered(connection, limit)]


def report_gaps(
    connection: sqlite3.Connection, state: State, make: Callable[[Sequence[Gap]], Draft], now: Stamp
) -> Receipt | None:
    """Store the message made of the oldest gaps and forget them, together or not at all.

    None when there is nothing to report, or no room for a report.
    """
    found = _numbered(connection, _PER_REPORT)
    if not found:
        return None
    draft = make([gap for _, gap in found])
    if shortage(state.tally.usage, draft.priority, len(draft.payload), state.limits):
        return None  # to make room for a report of what was given up would give up more
    receipt = put(connection, state, draft, now)
    connection.execute("DELETE FROM gaps WHERE n <= ?", (found[-1][0],))
    return receipt


def _numbered(connection: sqlite3.Connection, limit: int) -> list[tuple[int, Gap]]:
    rows = connection.execute(
        "SELECT n, reason, priority, first_id, last_id, count, bytes, wall_ms FROM gaps ORDER BY n LIMIT ?",
        (limit,),
    )
    return [
        (n, Gap(reason, Priority(priority), first, last, count, size, from_ms(wall_ms)))
        for n, reason, priority, first, last, count, size, wall_ms in rows
    ]
