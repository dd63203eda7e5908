# ruff: noqa: S608 - only constants of this room are joined into SQL, values are always bound
"""Everything about single messages, payload and files included, for people and for a rescue; reads only."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from buffer.message import MediaRef, Priority, boot_of, priority_of
from buffer.record import COLUMNS, Record, checksum, from_row, uuid_text
from buffer.timeline import Timeline, from_ms

_MEDIA = "SELECT sha256, size, mime, name, role FROM message_media WHERE message_id = ? ORDER BY position"


@dataclass(frozen=True, slots=True)
class Detail:
    """One message with its payload.

    `state` is waiting, delayed or dead; `age`, `next_try_in` and `expires_in` in seconds of powered-on time.
    `sound` is false when its bytes are not those that were stored.
    """

    id: int
    uuid: str
    kind: str
    priority: Priority
    state: str
    content_type: str
    idempotency_key: str | None
    revision: int
    enqueued_at: datetime
    clock_trusted: bool
    age: float
    retry_count: int
    next_try_in: float | None
    expires_in: float | None
    reason: str | None
    died_at: datetime | None
    sound: bool
    media: tuple[MediaRef, ...]
    payload: bytes


@dataclass(frozen=True, slots=True)
class Wish:
    """Which messages; `dead` leaves those out that still wait."""

    priority: Priority | None = None
    kind: str | None = None
    dead: bool = False

    def met_by(self, detail: Detail) -> bool:
        """Whether this is one of them."""
        return (
            (self.priority is None or detail.priority is self.priority)
            and (self.kind is None or detail.kind == self.kind)
            and (not self.dead or detail.state == "dead")
        )


@dataclass(frozen=True, slots=True)
class Found:
    """A row of one of the two tables; `place` is where to go on behind it."""

    place: int
    record: Record
    not_before_ms: int | None = None
    reason: str | None = None
    died_wall_ms: int | None = None


def waiting_after(connection: sqlite3.Connection, after: int, limit: int) -> list[Found]:
    """The next rows of those that wait, in the order of urgency."""
    rows = connection.execute(
        f"SELECT not_before_ms, {COLUMNS} FROM messages WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
    )
    return [_waiting(row) for row in rows]


def dead_after(connection: sqlite3.Connection, after: int, limit: int) -> list[Found]:
    """The next rows of those that were set aside, in the order of their deaths."""
    rows = connection.execute(
        f"SELECT n, reason, died_wall_ms, {COLUMNS} FROM dead WHERE n > ? ORDER BY n LIMIT ?", (after, limit)
    )
    return [_dead(row) for row in rows]


def named(connection: sqlite3.Connection, name: str) -> list[Found]:
    """Every message with this UUID or this key, waiting or dead. Looks at every row: there is no index."""
    raw = _raw_uuid(name)
    these = "uuid = ? OR idempotency_key = ? ORDER BY"
    waiting = connection.execute(
        f"SELECT not_before_ms, {COLUMNS} FROM messages WHERE {these} id", (raw, name)
    )
    found = [_waiting(row) for row in waiting]
    dead = connection.execute(
        f"SELECT n, reason, died_wall_ms, {COLUMNS} FROM dead WHERE {these} n", (raw, name)
    )
    return found + [_dead(row) for row in dead]


def was_here(connection: sqlite3.Connection, name: str) -> bool:
    """Whether something with this UUID or key was stored once, as far as the buffer remembers."""
    query = "SELECT EXISTS (SELECT 1 FROM seen WHERE key = ? OR uuid = ?)"
    return bool(connection.execute(query, (name, _raw_uuid(name))).fetchone()[0])


def dead_ids(connection: sqlite3.Connection, names: Sequence[str]) -> dict[str, list[int]]:
    """The ids of dead messages by the UUIDs and keys given; a name that fits none has an empty list."""
    query = "SELECT id FROM dead WHERE uuid = ? OR idempotency_key = ?"
    return {name: [row[0] for row in connection.execute(query, (_raw_uuid(name), name))] for name in names}


def media_of(connection: sqlite3.Connection, record: Record) -> tuple[MediaRef, ...]:
    """The files of a message."""
    return tuple(MediaRef(*row) for row in connection.execute(_MEDIA, (record.id,))) if record.media else ()


def describe(found: Found, media: Sequence[MediaRef], timeline: Timeline, now_ms: int) -> Detail:
    """What a person should see of it at `now_ms` on the time line."""
    record = found.record
    boot = boot_of(record.id)
    enqueued_at, trusted = timeline.wall(boot, record.boottime_ms, record.wall_ms)
    due = found.not_before_ms
    return Detail(
        id=record.id, uuid=uuid_text(record.uuid), kind=record.kind, priority=priority_of(record.id),
        state=_state(found, now_ms), content_type=record.content_type, idempotency_key=record.idempotency_key,
        revision=record.revision, enqueued_at=enqueued_at, clock_trusted=trusted,
        age=max(0, now_ms - timeline.powered_on_ms(boot, record.boottime_ms)) / 1000,
        retry_count=record.retry_count,
        next_try_in=(due - now_ms) / 1000 if due is not None and due > now_ms else None,
        expires_in=None if record.expires_ms is None else (record.expires_ms - now_ms) / 1000,
        reason=found.reason,
        died_at=None if found.died_wall_ms is None else from_ms(found.died_wall_ms),
        sound=checksum(record) == record.crc and len(media) == record.media,
        media=tuple(media), payload=record.payload,
    )  # fmt: skip


def _state(found: Found, now_ms: int) -> str:
    if found.reason is not None:
        return "dead"
    return "delayed" if found.not_before_ms is not None and found.not_before_ms > now_ms else "waiting"


def _waiting(row: Sequence[Any]) -> Found:
    record = from_row(row[1:])
    return Found(record.id, record, not_before_ms=row[0])


def _dead(row: Sequence[Any]) -> Found:
    return Found(row[0], from_row(row[3:]), reason=row[1], died_wall_ms=row[2])


def _raw_uuid(name: str) -> bytes | None:
    try:
        return UUID(name).bytes
    except ValueError:
        return None
