"""The durable queue of registrations: put in the transaction of the claim, handled at least once, never lost.

A message is leased for five minutes; a consumer that dies lets it go by that. What fails is tried again after
2, 4, 8 and 16 seconds, and the fifth failure makes it dead (REG-010): it lies aside, is shown to its person,
and is driven again by hand. Done and dead ones are forgotten after 14 days.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from cloud.store.engine import Database
from cloud.store.schema import registration
from protocol.clock import from_unix
from protocol.codes import ulid
from protocol.errors import Refusal, not_found
from protocol.registration_messages import QueuedRegistration, RegistrationList

log = logging.getLogger(__name__)

INITIATED = "DEVICE_REGISTRATION_INITIATED"
REGISTERED = "DEVICE_REGISTERED"
MOST_TRIES = 5
LEASE_MS = 300_000
RETENTION_MS = 14 * 86_400_000
MOST_WAITING = 100_000
BATCH = 100
_SHOWN = 100

Handler = Callable[[str], Awaitable[None]]
"""What is done with a claim's id; it may be done twice."""


def put(
    connection: Connection,
    kind: str,
    claim_id: str,
    account_id: str | None,
    now_ms: int,
    most: int = MOST_WAITING,
) -> None:
    """Adds a message in the caller's transaction. Raises `Refusal` REG-010 when too many wait."""
    waiting = select(func.count()).where(registration.c.state.in_(("queued", "leased")))
    if connection.execute(waiting).scalar_one() >= most:
        raise Refusal(
            "REG-010", "queue_full", "Too many registrations wait. Try again in a minute.", retry_after=60
        )
    connection.execute(
        insert(registration).values(
            id=ulid("reg_", now_ms),
            kind=kind,
            claim_id=claim_id,
            account_id=account_id,
            state="queued",
            due=now_ms,
            created=now_ms,
            updated=now_ms,
        )
    )


class RegistrationQueue:
    """Takes messages out and hands each to `handler`."""

    def __init__(self, database: Database, handler: Handler, unix_ms: Callable[[], int]) -> None:
        self.handler = handler
        self._db, self._unix_ms = database, unix_ms
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Something was put in: look at once."""
        self._wake.set()

    async def run(self, every_s: float) -> None:
        """Works until cancelled; looks when woken, and every `every_s` seconds for what comes due."""
        while True:
            try:
                busy = await self.work() == BATCH
            except Exception:  # the outermost edge of this task: a store that fails now may work again
                log.exception("the queue of registrations could not be worked on")
                busy = False
            if not busy:
                await self._rest(every_s)

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._wake.clear()

    async def work(self) -> int:
        """Handles what is due now; how many messages there were."""
        now = self._unix_ms()
        due = (registration.c.due <= now) & registration.c.state.in_(("queued", "leased"))
        if await self._db.read(lambda c: c.execute(select(registration.c.id).where(due)).first()) is None:
            return 0
        rows = await self._db.write(partial(_lease, now_ms=now))
        failed = {row.id: reason for row in rows if (reason := await self._handle(row)) is not None}
        await self._db.write(lambda c: _settle(c, rows, failed, self._unix_ms()))
        return len(rows)

    async def _handle(self, row: Row[Any]) -> str | None:
        """Why it failed; None when it was done."""
        try:
            await self.handler(row.claim_id)
        except Exception as error:  # the edge of one message's work: it must not end the others'
            log.exception("registration %s failed at try %d", row.id, row.attempts)
            return f"{type(error).__name__}: {error}"[:200]
        return None

    async def sweep(self) -> None:
        """A duty: forgets what is old, and looks for what came due meanwhile."""
        old = registration.c.state.in_(("done", "dead")) & (
            registration.c.updated < self._unix_ms() - RETENTION_MS
        )
        await self._db.write(lambda c: c.execute(delete(registration).where(old)).close())
        self.wake()

    async def of(self, account_id: str) -> RegistrationList:
        """The messages of a person's claims, newest first."""
        found = await self._db.read(lambda c: listed(c, account_id=account_id))
        return RegistrationList(registrations=found, server_time=from_unix(self._unix_ms() / 1000))

    async def retry(self, account_id: str, message_id: str) -> QueuedRegistration:
        """Puts a dead message back. Raises `not_found` for every other one alike."""
        now = self._unix_ms()

        def change(connection: Connection) -> QueuedRegistration | None:
            mine = (registration.c.id == message_id) & (registration.c.account_id == account_id)
            if not redrive(connection, now, mine):
                return None
            return next(one for one in listed(connection, account_id=account_id) if one.id == message_id)

        done = await self._db.write(change)
        if done is None:
            raise not_found()
        self.wake()
        return done


def listed(
    connection: Connection, *, account_id: str | None = None, dead_only: bool = False
) -> list[QueuedRegistration]:
    """Messages, newest first; of everybody without `account_id`."""
    query = select(registration).order_by(registration.c.id.desc()).limit(_SHOWN)
    if account_id is not None:
        query = query.where(registration.c.account_id == account_id)
    if dead_only:
        query = query.where(registration.c.state == "dead")
    return [
        QueuedRegistration(
            id=row.id,
            type=row.kind,
            claim_id=row.claim_id,
            state=row.state,
            attempts=row.attempts,
            code="REG-010" if row.state == "dead" else None,
            error=row.error,
            created_ms=row.created,
            updated_ms=row.updated,
        )
        for row in connection.execute(query)
    ]


def redrive(connection: Connection, now_ms: int, which: Any) -> int:
    """Dead messages become new ones; how many."""
    values = {"state": "queued", "attempts": 0, "due": now_ms, "updated": now_ms}
    dead = registration.c.state == "dead"
    return connection.execute(update(registration).where(dead, which).values(**values)).rowcount


def _lease(connection: Connection, now_ms: int) -> Sequence[Row[Any]]:
    due = (registration.c.due <= now_ms) & registration.c.state.in_(("queued", "leased"))
    query = select(registration.c.id).where(due).order_by(registration.c.due, registration.c.id).limit(BATCH)
    ids = connection.execute(query).scalars().all()
    connection.execute(
        update(registration)
        .where(registration.c.id.in_(ids))
        .values(state="leased", due=now_ms + LEASE_MS, attempts=registration.c.attempts + 1, updated=now_ms)
    )
    return connection.execute(select(registration).where(registration.c.id.in_(ids))).all()


def _settle(connection: Connection, rows: Sequence[Row[Any]], failed: dict[str, str], now_ms: int) -> None:
    done = [row.id for row in rows if row.id not in failed]
    connection.execute(
        update(registration)
        .where(registration.c.id.in_(done), registration.c.state == "leased")
        .values(state="done", error=None, updated=now_ms)
    )
    for row in (row for row in rows if row.id in failed):
        dead = row.attempts >= MOST_TRIES
        if dead:
            log.error(
                "REG-010 registration %s of claim %s lies aside: %s", row.id, row.claim_id, failed[row.id]
            )
        connection.execute(
            update(registration)
            .where(registration.c.id == row.id, registration.c.state == "leased")
            .values(
                state="dead" if dead else "queued",
                due=now_ms + 1000 * 2**row.attempts,
                error=failed[row.id],
                updated=now_ms,
            )
        )
