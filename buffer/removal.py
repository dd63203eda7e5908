# ruff: noqa: S608 - only constants of this room are joined into SQL, values are always bound
"""Taking rows out of the queue, whatever the cause; the causes live with their operations."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

from buffer.clock import Stamp
from buffer.message import priority_of
from buffer.state import State

_GAPS_KEPT = 1000
_THESE = "(SELECT value FROM json_each(?))"


class Removed(NamedTuple):
    """A row that is gone and the size of its payload in bytes."""

    id: int
    size: int


def remove(connection: sqlite3.Connection, state: State, ids: Iterable[int]) -> list[Removed]:
    """Delete these messages and their media references; ids that are gone already are passed over."""
    these = json.dumps(list(ids))
    rows = connection.execute(
        f"DELETE FROM messages WHERE id IN {_THESE} RETURNING id, length(payload)", (these,)
    ).fetchall()
    for row_id, size in rows:
        state.tally.usage.remove(priority_of(row_id), size)
    release_media(connection, state, these)
    state.then(partial(_let_go, state, [row_id for row_id, _ in rows]))
    return [Removed(*row) for row in rows]


def _let_go(state: State, ids: Sequence[int]) -> None:
    state.give_back(ids)
    state.sent.let_go(ids)


def remove_undelivered(
    connection: sqlite3.Connection, state: State, ids: Sequence[int], reason: str, now: Stamp
) -> list[Removed]:
    """Delete messages that were never sent: they may be handed in again, and the gap is written down."""
    connection.execute(
        "DELETE FROM seen WHERE (key, revision) IN"
        f" (SELECT idempotency_key, revision FROM messages WHERE id IN {_THESE})",
        (json.dumps(ids),),
    )
    removed = remove(connection, state, ids)
    for priority in sorted({priority_of(row.id) for row in removed}):
        note_gap(connection, reason, [row for row in removed if priority_of(row.id) is priority], now)
    return removed


def release_media(connection: sqlite3.Connection, state: State, ids: str) -> None:
    """Delete the media references of these messages (a JSON list); their files may be free afterwards."""
    rows = connection.execute(
        f"DELETE FROM message_media WHERE message_id IN {_THESE} RETURNING sha256", (ids,)
    ).fetchall()
    if rows:
        state.then(lambda: state.freed_media.update(row[0] for row in rows))


def note_gap(
    connection: sqlite3.Connection, reason: str, gone: Sequence[tuple[int, int]], now: Stamp
) -> None:
    """Write down that these (id, payload size) of one priority are gone and were never sent."""
    ids = [row_id for row_id, _ in gone]
    last = connection.execute(
        "INSERT INTO gaps (reason, priority, first_id, last_id, count, bytes, wall_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            reason, priority_of(ids[0]), min(ids), max(ids), len(ids), sum(size for _, size in gone),
            now.wall_ms,
        ),
    ).lastrowid  # fmt: skip
    connection.execute("DELETE FROM gaps WHERE n <= ?", ((last or 0) - _GAPS_KEPT,))
