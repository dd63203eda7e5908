"""Token buckets in the database: they survive a restart, and whoever hammers on is shut out for an hour.

Times are the server's wall clock here, because no other survives a restart; a clock that is set back gives
nobody a new token.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, insert, or_, select, update

from cloud.security import audit
from cloud.store.engine import Database
from cloud.store.schema import limit_bucket
from protocol.limits import Bucket, Rate, take

BLOCK_MS = 3_600_000
STRIKES = 10
"""Refused tries within an hour after which registration is closed to the caller for an hour."""
BLOCKING = frozenset({"claims", "codes", "card", "card-address", "token-guess"})
"""Purposes of registration."""
_BATCH = 500


@dataclass(frozen=True)
class Charged:
    """Seconds to wait (0: granted), and whether the caller was shut out just now."""

    wait: float
    blocked_now: bool = False


@dataclass(frozen=True)
class Kept:
    """A bucket as it is stored: tokens at a time in ms since 1970."""

    tokens: float
    at_ms: int
    rate: Rate


class LimitStore:
    """The table of buckets."""

    def __init__(self, database: Database, unix_ms: Callable[[], int]) -> None:
        self._db, self.unix_ms = database, unix_ms

    async def charge(self, purpose: str, key: str, rate: Rate) -> Charged:
        """Takes one token in the store. Raises `StoreError`."""
        return await self._db.write(partial(_charge, purpose, key[:80], rate, self.unix_ms()))

    async def load(self, purposes: Collection[str]) -> Sequence[tuple[str, str, Kept]]:
        """What was kept of these purposes. Raises `StoreError`."""
        query = select(limit_bucket).where(limit_bucket.c.purpose.in_(purposes))
        rows = await self._db.read(lambda c: c.execute(query).all())
        return [
            (
                row.purpose,
                row.key,
                Kept(row.tokens, row.at, Rate(row.rate_count, row.rate_seconds, row.rate_burst)),
            )
            for row in rows
        ]

    async def keep(self, buckets: Sequence[tuple[str, str, Kept]]) -> None:
        """Stores buckets, some hundred in one transaction. Raises `StoreError`."""
        for start in range(0, len(buckets), _BATCH):
            await self._db.write(partial(_keep, buckets[start : start + _BATCH]))

    async def sweep(self) -> None:
        """Forgets buckets that are full again and callers whose hour is over."""
        now = self.unix_ms()
        done = and_(
            limit_bucket.c.full <= now,
            or_(limit_bucket.c.blocked.is_(None), limit_bucket.c.blocked <= now),
            or_(limit_bucket.c.struck.is_(None), limit_bucket.c.struck <= now - BLOCK_MS),
        )
        await self._db.write(lambda c: c.execute(delete(limit_bucket).where(done)).close())


def _charge(purpose: str, key: str, rate: Rate, now: int, connection: Connection) -> Charged:
    row = _find(connection, purpose, key)
    if row is not None and row.blocked is not None and row.blocked > now:
        return Charged((row.blocked - now) / 1000)
    before = Bucket(row.tokens, min(row.at, now) / 1000) if row is not None else None
    bucket, wait = take(before, rate, now / 1000)
    values = _values(Kept(bucket.tokens, now, rate))
    blocked = False
    if wait and purpose in BLOCKING:
        strikes, struck = _struck(row, now)
        blocked = strikes >= STRIKES
        values |= {"strikes": 0 if blocked else strikes, "struck": struck}
        values |= {"blocked": now + BLOCK_MS if blocked else None}
        if blocked:
            wait = BLOCK_MS / 1000
            actor = f"person:{key}" if key.startswith("usr_") else "anonymous"
            audit.record(connection, now, actor, "blocked", key, purpose=purpose)
    _store(connection, purpose, key, row, values)
    return Charged(wait, blocked)


def _struck(row: Row[Any] | None, now: int) -> tuple[int, int]:
    """The count of refused tries within an hour, this one included, and when it began."""
    if row is None or row.struck is None or row.struck <= now - BLOCK_MS:
        return 1, now
    return row.strikes + 1, row.struck


def _keep(buckets: Sequence[tuple[str, str, Kept]], connection: Connection) -> None:
    for purpose, key, one in buckets:
        _store(connection, purpose, key[:80], _find(connection, purpose, key[:80]), _values(one))


def _values(one: Kept) -> dict[str, Any]:
    missing = one.rate.burst - one.tokens
    full = one.at_ms + int(missing * one.rate.seconds / one.rate.count * 1000)
    return {
        "tokens": one.tokens,
        "at": one.at_ms,
        "full": full,
        "rate_count": one.rate.count,
        "rate_seconds": one.rate.seconds,
        "rate_burst": one.rate.burst,
    }


def _find(connection: Connection, purpose: str, key: str) -> Row[Any] | None:
    return connection.execute(select(limit_bucket).where(_is(purpose, key))).first()


def _store(
    connection: Connection, purpose: str, key: str, row: Row[Any] | None, values: dict[str, Any]
) -> None:
    if row is None:
        connection.execute(insert(limit_bucket).values(purpose=purpose, key=key, **values))
    else:
        connection.execute(update(limit_bucket).where(_is(purpose, key)).values(**values))


def _is(purpose: str, key: str) -> Any:
    return and_(limit_bucket.c.purpose == purpose, limit_bucket.c.key == key)
