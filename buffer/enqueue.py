"""Putting a draft into the queue: known already, room made, row written; runs on the writer thread."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Generator
from contextlib import closing
from functools import partial
from itertools import islice

from buffer.capacity import fits_easily, shortage, victims
from buffer.clock import Stamp
from buffer.errors import BufferFull
from buffer.message import Draft, Priority, Receipt, id_range
from buffer.record import from_draft, new_uuid, uuid_text
from buffer.removal import remove, remove_undelivered
from buffer.state import State

_LOG = logging.getLogger(__name__)
_TRIM_EVERY = 2048


def put(connection: sqlite3.Connection, state: State, draft: Draft, now: Stamp) -> Receipt:
    """Write the draft unless it is known, in the place of older revisions; durable with the transaction.

    Raises BufferFull when nothing less urgent may give way; nothing is evicted then.
    """
    earlier = _earlier(connection, draft)
    for revision, row_id, uuid in earlier:
        if revision >= draft.revision:
            return Receipt(row_id, uuid_text(uuid), duplicate=True)
    _make_room(connection, state, draft, now)
    if earlier:
        state.drop_old_leases(state.powered_on_ms(now))
        _supersede(connection, state, [row_id for _, row_id, _ in earlier])
    row_id = state.next_id(draft.priority, draft.lane)
    uuid = new_uuid(now.wall_ms, state.entropy)
    record = from_draft(draft, row_id, uuid, now, state.powered_on_ms(now))
    state.arrivals.append(record)
    _write_media(connection, draft, row_id)
    _remember(connection, state, draft, row_id, uuid)
    state.tally.usage.add(draft.priority, len(draft.payload))
    state.note_uptime(connection, now)
    state.arrived(draft.priority)
    return Receipt(row_id, uuid_text(uuid), duplicate=False)


def evict_some(connection: sqlite3.Connection, state: State, priority: Priority, now: Stamp) -> bool:
    """Give up a batch for this priority, because the disk is full; whether there was anything to give."""
    state.drop_old_leases(state.powered_on_ms(now))
    with closing(_giving_way(connection, state, priority)) as rows:
        ids = [row_id for row_id, _ in islice(rows, state.limits.eviction_batch)]
    if ids:
        _evict(connection, state, ids, now)
    return bool(ids)


def _earlier(connection: sqlite3.Connection, draft: Draft) -> list[tuple[int, int, bytes]]:
    """Revision, id and uuid of what came in under this key before: the same revision, then the newest."""
    if draft.idempotency_key is None:
        return []
    return connection.execute(
        "SELECT revision, id, uuid FROM seen WHERE key = ? ORDER BY revision <> ?, revision DESC",
        (draft.idempotency_key, draft.revision),
    ).fetchall()


def _supersede(connection: sqlite3.Connection, state: State, ids: list[int]) -> None:
    """Older revisions that nobody is sending just now need not be sent any more."""
    state.insert_arrivals(connection)
    gone = remove(connection, state, [row_id for row_id in ids if not state.leased(row_id)])
    state.tally.superseded += len(gone)


def _remember(connection: sqlite3.Connection, state: State, draft: Draft, row_id: int, uuid: bytes) -> None:
    if draft.idempotency_key is None:
        return
    number = state.next_seen(connection)
    connection.execute(
        "INSERT INTO seen (key, revision, n, id, uuid) VALUES (?, ?, ?, ?, ?)",
        (draft.idempotency_key, draft.revision, number, row_id, uuid),
    )
    if number % _TRIM_EVERY == 0:
        # Never one whose message still waits.
        connection.execute(
            "DELETE FROM seen WHERE n <= ?"
            " AND NOT EXISTS (SELECT 1 FROM messages WHERE messages.id = seen.id)",
            (number - state.limits.seen_count,),
        )


def _write_media(connection: sqlite3.Connection, draft: Draft, row_id: int) -> None:
    if draft.media:
        connection.executemany(
            "INSERT INTO message_media (message_id, position, sha256, size, mime, name, role)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (row_id, position, ref.sha256, ref.size, ref.mime, ref.name, ref.role)
                for position, ref in enumerate(draft.media)
            ],
        )


def _make_room(connection: sqlite3.Connection, state: State, draft: Draft, now: Stamp) -> None:
    if fits_easily(state.tally.usage, len(draft.payload), state.limits):
        return
    missing = shortage(state.tally.usage, draft.priority, len(draft.payload), state.limits)
    if not missing:
        return
    state.insert_arrivals(connection)
    state.drop_old_leases(state.powered_on_ms(now))
    chosen: list[int] = []
    freed = 0
    with closing(_giving_way(connection, state, draft.priority)) as candidates:
        for row_id, size in candidates:
            # More than needed at once: the next put should not evict again, and whole pages come free.
            plenty = len(chosen) >= state.limits.eviction_batch or freed * 64 >= state.limits.max_bytes
            if plenty and not missing:
                break
            chosen.append(row_id)
            freed += size
            missing = missing.less(size)
    if missing:
        raise BufferFull(f"The buffer has no room for a message of priority {draft.priority.name}.")
    _evict(connection, state, chosen, now)


def _giving_way(
    connection: sqlite3.Connection, state: State, priority: Priority
) -> Generator[tuple[int, int], None, None]:
    """Ids and payload sizes of what may be given up for this priority, in order."""
    query = "SELECT id, length(payload) FROM messages WHERE id >= ? AND id < ? ORDER BY id"
    for victim in victims(priority, state.limits):
        with closing(connection.execute(query, id_range(victim))) as rows:
            for row_id, size in rows:
                if not state.leased(row_id):  # somebody is sending it just now
                    yield row_id, size


def _evict(connection: sqlite3.Connection, state: State, ids: list[int], now: Stamp) -> None:
    removed = remove_undelivered(connection, state, ids, "evicted", now)
    state.tally.evicted += len(removed)
    warn = partial(_LOG.warning, "the buffer is full: %d of the oldest, least urgent messages were given up")
    state.then(partial(warn, len(removed)))
