"""Reading and moving claim records: the states, their progress, what is live. Decides no claim.

pending -> scanning -> claiming -> success, every open one -> expired with a reason. Progress never falls.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select, update

from cloud.store.schema import claim
from protocol.errors import CLAIM_DENIED, CLAIM_EXPIRED, Refusal

PROGRESS = {"pending": 10, "scanning": 40, "claiming": 70, "success": 100}
OPEN = ("pending", "scanning", "claiming")


def add(connection: Connection, **values: Any) -> Row[Any]:
    """Inserts a record, with the progress of its status, and reads it back."""
    connection.execute(insert(claim).values(progress=PROGRESS.get(values["status"], 10), **values))
    return get(connection, values["id"])


def get(connection: Connection, claim_id: str) -> Row[Any]:
    """A record that is known to exist."""
    return connection.execute(select(claim).where(claim.c.id == claim_id)).one()


def find(connection: Connection, claim_id: str) -> Row[Any] | None:
    """A record that may not exist."""
    return connection.execute(select(claim).where(claim.c.id == claim_id)).first()


def live(now_ms: int, *statuses: str) -> Select[Any]:
    """Records in one of these open states that have not run out, oldest first."""
    return (
        select(claim)
        .where(claim.c.status.in_(statuses or OPEN), claim.c.expires > now_ms)
        .order_by(claim.c.created, claim.c.id)
    )


def advance(connection: Connection, claim_id: str, status: str, **values: Any) -> None:
    """Moves an open record forward."""
    connection.execute(
        update(claim)
        .where(claim.c.id == claim_id, claim.c.status.in_(OPEN))
        .values(status=status, progress=PROGRESS[status], **values)
    )


def change(connection: Connection, claim_id: str, **values: Any) -> None:
    """Changes what is not the state."""
    connection.execute(update(claim).where(claim.c.id == claim_id).values(**values))


def expire(connection: Connection, claim_id: str, error: str, error_code: str) -> None:
    """Closes an open record for good; `error` is a stable word."""
    connection.execute(
        update(claim)
        .where(claim.c.id == claim_id, claim.c.status.in_(OPEN))
        .values(status="expired", error=error, error_code=error_code)
    )


def closed_reason(row: Row[Any], now_ms: int) -> str | None:
    """Why a record is over: the stored error, or that its time ran out just now; None while it is open."""
    if row.status == "expired":
        return row.error or CLAIM_EXPIRED
    if row.status in OPEN and row.expires <= now_ms:
        return CLAIM_EXPIRED
    return None


def over(reason: str) -> Refusal:
    """The answer to a device whose claim is over."""
    if reason == CLAIM_DENIED:
        return Refusal(None, CLAIM_DENIED, "The person did not accept this station.", status=403)
    if reason == "already_registered":
        return Refusal("REG-003", reason, "This station is registered already.")
    return Refusal("REG-002", reason, "This claim is over. Start a new one.")
