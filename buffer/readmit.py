# ruff: noqa: S608 - only constants of this room are joined into SQL, values are always bound
"""Taking salvaged rows back into the queue under their old ids; runs on the writer thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from buffer.capacity import shortage
from buffer.clock import Stamp
from buffer.message import priority_of
from buffer.record import COLUMNS, Record
from buffer.removal import note_gap
from buffer.salvage import Batch
from buffer.state import State
from buffer.timeline import Run

_SLOTS = ", ".join("?" * len(COLUMNS.split(",")))
_INSERT_MESSAGE = f"INSERT OR IGNORE INTO messages ({COLUMNS}) VALUES ({_SLOTS})"
_INSERT_DEAD = f"INSERT INTO dead (reason, died_wall_ms, {COLUMNS}) VALUES (?, ?, {_SLOTS})"
_INSERT_SEEN = "INSERT OR IGNORE INTO seen (key, revision, n, id, uuid) VALUES (?, ?, ?, ?, ?)"
_INSERT_MEDIA = "INSERT OR IGNORE INTO message_media VALUES (?, ?, ?, ?, ?, ?, ?)"


def readmit_runs(connection: sqlite3.Connection, state: State, rows: Iterable[tuple[Any, ...]]) -> None:
    """Know the runs again in which the salvaged messages were written, so that their age can be told."""
    for row in rows:
        boot, kernel_boot, base_ms, opened_ms, last_ms, _, offset_ms = row
        if not (isinstance(boot, int) and 0 < boot < state.run.number):
            continue
        connection.execute("INSERT OR IGNORE INTO boots VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        state.timeline.add(Run(boot, kernel_boot, base_ms, opened_ms, last_ms, offset_ms))


def readmit_notes(
    connection: sqlite3.Connection, notes: Iterable[tuple[Any, ...]], seen: Iterable[tuple[Any, ...]]
) -> None:
    """Notes and keys that are already known again; a newer one of the fresh file stays."""
    connection.executemany(
        "INSERT OR IGNORE INTO meta VALUES (?, ?)",
        [row for row in notes if str(row[0]).startswith("note:")],
    )
    connection.executemany(
        _INSERT_SEEN, ((key, revision, 0, row_id, uuid) for key, revision, row_id, uuid in seen)
    )


def readmit(connection: sqlite3.Connection, state: State, batch: Batch, now: Stamp) -> int:
    """Put these back; how many of the waiting ones are stored now.

    A message whose key came in again meanwhile is left out, and so is one that no longer fits; the latter is
    noted as a gap.
    """
    taken = 0
    crowded: list[Record] = []
    for record in batch.messages:
        priority = priority_of(record.id)
        if _came_again(connection, record):
            continue
        if shortage(state.tally.usage, priority, len(record.payload), state.limits):
            crowded.append(record)
            continue
        taken += _insert(connection, state, record)
    connection.executemany(_INSERT_MEDIA, batch.media)
    _readmit_dead(connection, state, batch.dead)
    for priority in sorted({priority_of(record.id) for record in crowded}):
        gone = [(r.id, len(r.payload)) for r in crowded if priority_of(r.id) is priority]
        note_gap(connection, "evicted", gone, now)
    state.tally.evicted += len(crowded)
    state.tally.salvaged += taken
    return taken


def _came_again(connection: sqlite3.Connection, record: Record) -> bool:
    if record.idempotency_key is None:
        return False
    row = connection.execute(
        "SELECT 1 FROM seen WHERE key = ? AND revision >= ? AND id <> ?",
        (record.idempotency_key, record.revision, record.id),
    ).fetchone()
    return row is not None


def _insert(connection: sqlite3.Connection, state: State, record: Record) -> int:
    done = connection.execute(_INSERT_MESSAGE, record).rowcount
    if done:
        priority = priority_of(record.id)
        state.tally.usage.add(priority, len(record.payload))
        state.arrived(priority)
        if record.idempotency_key is not None:
            key = (record.idempotency_key, record.revision)
            connection.execute(_INSERT_SEEN, (*key, state.next_seen(connection), record.id, record.uuid))
    return done


def _readmit_dead(connection: sqlite3.Connection, state: State, rows: Sequence[tuple[Any, ...]]) -> None:
    for row in rows:
        record = Record._make(row[2:])
        known = connection.execute(
            "SELECT EXISTS (SELECT 1 FROM dead WHERE id = ?) OR EXISTS (SELECT 1 FROM messages WHERE id = ?)",
            (record.id, record.id),
        ).fetchone()[0]
        if not known:
            connection.execute(_INSERT_DEAD, row)
            state.tally.dead_count += 1
            state.tally.dead_bytes += len(record.payload)
