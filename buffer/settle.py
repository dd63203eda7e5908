# ruff: noqa: S608 - only constants of this room are joined into SQL, values are always bound
"""What becomes of a message: delivered, again later, dead or expired; runs on the writer thread."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Sequence
from functools import partial

from buffer.capacity import shortage
from buffer.clock import Stamp
from buffer.message import priority_of
from buffer.record import COLUMNS
from buffer.removal import release_media, remove, remove_undelivered
from buffer.state import LONGEST_DELAY_MS, State

_LOG = logging.getLogger(__name__)
_SLICE_ROWS = 2000


def ack(connection: sqlite3.Connection, state: State, ids: Sequence[int], now: Stamp) -> int:
    """Forget delivered messages; how many were still here."""
    gone = remove(connection, state, ids)
    if gone:
        state.tally.delivered += len(gone)
        state.tally.last_delivered_ms = now.wall_ms
        state.note_uptime(connection, now)
    return len(gone)


def hold(connection: sqlite3.Connection, state: State, ids: Sequence[int], now: Stamp) -> None:
    """Keep what got a yes until it is confirmed; what left the queue meanwhile is passed over."""
    query = "SELECT id, length(payload) FROM messages WHERE id IN (SELECT value FROM json_each(?))"
    state.sent.hold(dict(connection.execute(query, (json.dumps(ids),)).fetchall()), now)


def retry_later(
    connection: sqlite3.Connection, state: State, ids: Sequence[int], delay_ms: int, now: Stamp
) -> None:
    """Count one more try for each and keep them back for `delay_ms` of powered-on time, an hour at most."""
    due = state.powered_on_ms(now) + min(max(0, delay_ms), LONGEST_DELAY_MS)
    connection.executemany(
        "UPDATE messages SET retry_count = retry_count + 1, not_before_ms = ? WHERE id = ?",
        [(due, message_id) for message_id in ids],
    )
    state.then(lambda: state.give_back(ids))
    state.then(lambda: state.wake_at(due))
    state.note_uptime(connection, now)


def bury_worn_out(
    connection: sqlite3.Connection, state: State, ids: Sequence[int], tries: int, reason: str, now: Stamp
) -> list[int]:
    """Set those of these aside that failed so often already; the ids that may be tried again."""
    rows = connection.execute(
        "SELECT id FROM messages WHERE retry_count >= ? AND id IN (SELECT value FROM json_each(?))",
        (tries - 1, json.dumps(ids)),
    ).fetchall()
    worn_out = [row[0] for row in rows]
    if worn_out:
        bury(connection, state, worn_out, f"{reason} (tried {tries} times)", now)
    return [message_id for message_id in ids if message_id not in set(worn_out)]


def revive(connection: sqlite3.Connection, state: State, ids: Sequence[int] | None) -> int:
    """Put dead messages back in their old place with no tries counted; how many fit."""
    chosen = "" if ids is None else " WHERE id IN (SELECT value FROM json_each(?))"
    rows = connection.execute(
        f"SELECT id, length(payload) FROM dead{chosen} ORDER BY id", () if ids is None else (json.dumps(ids),)
    ).fetchall()
    revived = 0
    for row_id, size in rows:
        if shortage(state.tally.usage, priority_of(row_id), size, state.limits):
            continue
        connection.execute(
            f"INSERT INTO messages ({COLUMNS}) SELECT {COLUMNS} FROM dead WHERE id = ?", (row_id,)
        )
        connection.execute("UPDATE messages SET retry_count = 0 WHERE id = ?", (row_id,))
        connection.execute("DELETE FROM dead WHERE id = ?", (row_id,))
        state.tally.usage.add(priority_of(row_id), size)
        state.tally.dead_count -= 1
        state.tally.dead_bytes -= size
        state.arrived(priority_of(row_id))
        revived += 1
    return revived


def bury(connection: sqlite3.Connection, state: State, ids: Sequence[int], reason: str, now: Stamp) -> int:
    """Set messages aside for good, with the reason and the last try counted; how many there were."""
    connection.execute(
        f"INSERT INTO dead (reason, died_wall_ms, {COLUMNS}) SELECT ?, ?, {COLUMNS} FROM messages"
        " WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (reason, now.wall_ms, json.dumps(ids)),
    )
    rows = connection.execute(
        "DELETE FROM messages WHERE id IN (SELECT value FROM json_each(?)) RETURNING id, length(payload)",
        (json.dumps(ids),),
    ).fetchall()
    for row_id, size in rows:
        state.tally.usage.remove(priority_of(row_id), size)
        state.tally.dead_bytes += size
    state.tally.dead_count += len(rows)
    _trim_dead(connection, state)
    state.then(lambda: state.give_back(ids))
    state.then(partial(_LOG.warning, "%d messages set aside as undeliverable: %s", len(rows), reason))
    return len(rows)


def drop_expired(connection: sqlite3.Connection, state: State, ids: Sequence[int], now: Stamp) -> int:
    """Delete messages that are too old to be of use; how many there were."""
    gone = remove_undelivered(connection, state, ids, "expired", now)
    state.tally.expired += len(gone)
    return len(gone)


def find_expired(
    connection: sqlite3.Connection, state: State, after: int, now: Stamp
) -> tuple[list[int], int | None]:
    """The expired among the next rows after this id, and where to go on, None at the end.

    A slice at a time, because there is no index on expiry: every message would pay for it, on every write.
    """
    rows = connection.execute(
        "SELECT id, expires_ms FROM messages WHERE id > ? ORDER BY id LIMIT ?", (after, _SLICE_ROWS)
    ).fetchall()
    now_ms = state.powered_on_ms(now)
    state.drop_old_leases(now_ms)
    expired = [
        i for i, due in rows if due is not None and due <= now_ms + state.unseen_ms(i) and not state.leased(i)
    ]
    return expired, rows[-1][0] if len(rows) == _SLICE_ROWS else None


def _trim_dead(connection: sqlite3.Connection, state: State) -> None:
    limits, tally = state.limits, state.tally
    while tally.dead_count > limits.dead_count or tally.dead_bytes > limits.dead_bytes:
        n, row_id, size = connection.execute(
            "SELECT n, id, length(payload) FROM dead ORDER BY n LIMIT 1"
        ).fetchone()
        connection.execute("DELETE FROM dead WHERE n = ?", (n,))
        release_media(connection, state, json.dumps([row_id]))
        tally.dead_count -= 1
        tally.dead_bytes -= size
        tally.dead_dropped += 1
