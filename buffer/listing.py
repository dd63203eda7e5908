# ruff: noqa: S608 - only constants of this room are joined into SQL, values are always bound
"""What the buffer holds, for people: depth and rows, read by the store itself or by another process."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from buffer.message import Lane, Priority, boot_of, id_range, priority_of
from buffer.record import uuid_text
from buffer.sent import Sent
from buffer.state import Tally
from buffer.timeline import Timeline, from_ms


@dataclass(frozen=True, slots=True)
class Level:
    """One priority: messages, payload bytes, and the age of the oldest in seconds of powered-on time."""

    count: int
    bytes: int
    oldest_age: float | None


@dataclass(frozen=True, slots=True)
class Depth:
    """How full the buffer is, and what became of what left it, counted since the file was made."""

    levels: Mapping[Priority, Level]
    dead: int
    dead_bytes: int
    delivered: int
    last_delivered_at: datetime | None
    evicted: int
    expired: int
    dead_dropped: int
    superseded: int = 0
    dropped: int = 0
    quarantined: int = 0
    salvaged: int = 0
    lost: int = 0

    @property
    def count(self) -> int:
        """Messages waiting, all priorities."""
        return sum(level.count for level in self.levels.values())

    @property
    def bytes(self) -> int:
        """Payload bytes waiting, all priorities."""
        return sum(level.bytes for level in self.levels.values())


@dataclass(frozen=True, slots=True)
class Row:
    """One message without its payload. `state` is waiting, leased, sent (not yet confirmed), delayed or dead;
    `age` in seconds of powered-on time; another process can see neither leases nor what is sent."""

    id: int
    uuid: str
    kind: str
    priority: Priority
    state: str
    size: int
    media: int
    enqueued_at: datetime
    age: float
    retry_count: int
    idempotency_key: str | None
    revision: int
    expires_in: float | None
    reason: str | None


def read_depth(
    connection: sqlite3.Connection, tally: Tally, timeline: Timeline, now_ms: int, sent: Sent | None = None
) -> Depth:
    """The depth from figures that are known; only the oldest of each priority is looked up.

    What is sent counts as delivered already and does not wait.
    """
    sent = sent or Sent()
    levels = {
        priority: Level(
            tally.usage.counts[priority] - sent.usage.counts[priority],
            tally.usage.sizes[priority] - sent.usage.sizes[priority],
            _oldest_age(connection, priority, timeline, now_ms, sent),
        )
        for priority in Priority
    }
    last = latest(tally, sent)
    delivered = tally.delivered + len(sent)
    return Depth(
        levels, tally.dead_count, tally.dead_bytes, delivered, None if last is None else from_ms(last),
        tally.evicted, tally.expired, tally.dead_dropped, tally.superseded, tally.dropped,
        tally.quarantined, tally.salvaged, tally.lost,
    )  # fmt: skip


def latest(tally: Tally, sent: Sent) -> int | None:
    """When something was last delivered, in ms of wall time."""
    return max((ms for ms in (tally.last_delivered_ms, sent.last_ms) if ms is not None), default=None)


def read_rows(
    connection: sqlite3.Connection,
    timeline: Timeline,
    now_ms: int,
    limit: int,
    priority: Priority | None,
    leased: Callable[[int], bool] = lambda _: False,
    sent: Container[int] = frozenset(),
) -> list[Row]:
    """At most `limit` messages: the waiting, most urgent first, then the dead, the last to die first."""
    low, high = id_range(priority) if priority is not None else (0, id_range(Priority.LOW)[1])
    common = (
        "id, uuid, kind, length(payload) AS size, media, boottime_ms, wall_ms, retry_count,"
        " idempotency_key, revision, expires_ms"
    )
    waiting = _dicts(
        connection,
        f"SELECT {common}, not_before_ms, NULL AS reason FROM messages"
        " WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
        (low, high, limit),
    )
    dead = _dicts(
        connection,
        f"SELECT {common}, NULL AS not_before_ms, reason FROM dead"
        " WHERE id >= ? AND id < ? ORDER BY n DESC LIMIT ?",
        (low, high, limit - len(waiting)),
    )
    return [_row(values, timeline, now_ms, _state(values, now_ms, leased, sent)) for values in waiting + dead]


def _row(values: dict[str, Any], timeline: Timeline, now_ms: int, state: str) -> Row:
    boot = boot_of(values["id"])
    expires_ms = values["expires_ms"]
    return Row(
        id=values["id"],
        uuid=uuid_text(values["uuid"]),
        kind=values["kind"],
        priority=priority_of(values["id"]),
        state=state,
        size=values["size"],
        media=values["media"],
        enqueued_at=timeline.wall(boot, values["boottime_ms"], values["wall_ms"])[0],
        age=max(0, now_ms - timeline.powered_on_ms(boot, values["boottime_ms"])) / 1000,
        retry_count=values["retry_count"],
        idempotency_key=values["idempotency_key"],
        revision=values["revision"],
        expires_in=None if expires_ms is None else (expires_ms - now_ms) / 1000,
        reason=values["reason"],
    )


def _state(values: dict[str, Any], now_ms: int, leased: Callable[[int], bool], sent: Container[int]) -> str:
    if values["reason"] is not None:
        return "dead"
    if values["id"] in sent:
        return "sent"
    if leased(values["id"]):
        return "leased"
    delayed = values["not_before_ms"] is not None and values["not_before_ms"] > now_ms
    return "delayed" if delayed else "waiting"


def _oldest_age(
    connection: sqlite3.Connection, priority: Priority, timeline: Timeline, now_ms: int, sent: Container[int]
) -> float | None:
    ages = [
        now_ms - timeline.powered_on_ms(boot_of(row_id), boottime_ms)
        for lane in Lane
        for row_id, boottime_ms in _first(connection, id_range(priority, lane), sent)
    ]
    return max(0, *ages) / 1000 if ages else None


def _first(
    connection: sqlite3.Connection, ids: tuple[int, int], sent: Container[int]
) -> Iterator[tuple[int, int]]:
    query = "SELECT id, boottime_ms FROM messages WHERE id >= ? AND id < ? ORDER BY id"
    with closing(connection.execute(query, ids)) as rows:
        yield from islice((row for row in rows if row[0] not in sent), 1)


def _dicts(connection: sqlite3.Connection, query: str, parameters: tuple[int, ...]) -> list[dict[str, Any]]:
    cursor = connection.execute(query, parameters)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
