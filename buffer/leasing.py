# ruff: noqa: S608 - only constants of this room are joined into SQL, values are always bound
"""Handing out the most urgent messages; reads only, runs on the writer thread between transactions.

A lease lives in memory: a crash ends all of them, so a message may be sent twice but never forgotten, and
the receiver tells duplicates by the message's uuid.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from buffer.capacity import ROW_BYTES
from buffer.clock import Stamp
from buffer.errors import MessageDamaged
from buffer.message import Lane, MediaRef, Message, Priority, id_range
from buffer.record import COLUMNS, Record, from_row, to_message
from buffer.sharing import Heads, shared
from buffer.state import LONGEST_DELAY_MS, State

_MAX_ASIDE = 256


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller can take; `lane` None means both; `max_bytes` is exceeded only by a first message.
    `newest_first` turns the order inside a class round, for all but the critical."""

    limit: int
    max_bytes: int
    lane: Lane | None
    priorities: tuple[Priority, ...]
    lease_ms: int
    newest_first: bool = False

    def order(self, message: Message) -> tuple[Priority, int]:
        """Sorts a batch: most urgent first, inside a class as wanted."""
        backwards = self.newest_first and message.priority is not Priority.CRITICAL
        return message.priority, -message.id if backwards else message.id


@dataclass(slots=True)
class Leased:
    """What was found: messages handed out, and ids to remove because they expired or are damaged."""

    messages: list[Message] = field(default_factory=list)
    expired: list[int] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)
    size: int = 0

    def add(self, message: Message) -> None:
        """Hand out this one."""
        self.messages.append(message)
        self.size += len(message.payload)


def lease(connection: sqlite3.Connection, state: State, wanted: Wanted, now: Stamp) -> Leased:
    """Lease messages: what is critical, then the others by their shares; inside a class in order of arrival,
    or the other way round if that is wanted.

    The batch comes most urgent first. A message that programs died of goes alone.
    """
    now_ms = state.powered_on_ms(now)
    state.drop_old_leases(now_ms)
    found = Leased()
    queues = {
        priority: Heads(_open(connection, state, wanted, priority, now_ms, found))
        for priority in sorted(wanted.priorities)
    }
    try:
        _fill(state, wanted, queues, found)
    finally:
        for queue in queues.values():
            queue.close()
    found.messages.sort(key=wanted.order)
    state.take([message.id for message in found.messages], now_ms + wanted.lease_ms)
    return found


def _fill(state: State, wanted: Wanted, queues: dict[Priority, Heads[Message]], found: Leased) -> None:
    def fits(message: Message) -> bool:
        if len(found.messages) >= wanted.limit or len(found.expired) + len(found.damaged) >= _MAX_ASIDE:
            return False
        if not found.messages:
            return True
        if state.poison.alone(message.id) or state.poison.alone(found.messages[0].id):
            return False
        return found.size + len(message.payload) <= wanted.max_bytes

    critical = queues.pop(Priority.CRITICAL, None)
    while critical and (head := critical.peek()) is not None:
        if not fits(head):
            return
        critical.take()
        found.add(head)
    for message in shared(queues, state.turns, lambda message: len(message.payload) + ROW_BYTES, fits):
        found.add(message)


def _open(
    connection: sqlite3.Connection,
    state: State,
    wanted: Wanted,
    priority: Priority,
    now_ms: int,
    found: Leased,
) -> Generator[Message, None, None]:
    """What this priority has for the caller; expired and damaged ones are put on their lists on the way."""
    backwards = wanted.newest_first and priority is not Priority.CRITICAL
    with closing(_due(connection, id_range(priority, wanted.lane), now_ms, backwards)) as records:
        for record in records:
            if state.leased(record.id):
                continue
            if len(found.expired) + len(found.damaged) >= _MAX_ASIDE:
                return
            if record.expires_ms is not None and record.expires_ms <= now_ms + state.unseen_ms(record.id):
                found.expired.append(record.id)
                continue
            try:
                yield to_message(record, _media_of(connection, record), state.timeline)
            except MessageDamaged:
                found.damaged.append(record.id)


def _due(
    connection: sqlite3.Connection, ids: tuple[int, int], now_ms: int, backwards: bool
) -> Generator[Record, None, None]:
    # A delay longer than anybody asks for was written before the time line was set back by a power cut.
    query = (
        f"SELECT {COLUMNS} FROM messages WHERE id >= ? AND id < ? AND"
        " (not_before_ms IS NULL OR not_before_ms <= ? OR not_before_ms > ?)"
        f" ORDER BY id {'DESC' if backwards else 'ASC'}"
    )
    with closing(connection.execute(query, (*ids, now_ms, now_ms + LONGEST_DELAY_MS))) as rows:
        for row in rows:
            yield from_row(row)


def _media_of(connection: sqlite3.Connection, record: Record) -> Sequence[MediaRef]:
    if not record.media:
        return ()
    rows = connection.execute(
        "SELECT sha256, size, mime, name, role FROM message_media WHERE message_id = ? ORDER BY position",
        (record.id,),
    )
    return [MediaRef(*row) for row in rows]


def media_in_use(connection: sqlite3.Connection, hashes: Collection[str]) -> set[str]:
    """Those of these hashes that a waiting or dead message refers to."""
    query = "SELECT EXISTS (SELECT 1 FROM message_media WHERE sha256 = ?)"
    return {sha for sha in hashes if connection.execute(query, (sha,)).fetchone()[0]}
