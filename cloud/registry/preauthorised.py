"""Claims that wait for a key by its name (mode C): handed over, or said beforehand. Runs in transactions.

Such a claim is a pending record with a key and without codes. A key's name is no secret, so a name that two
persons say is nobody's: then the station's card decides, as without a list.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select

from cloud.registry import records
from cloud.store.schema import claim

BATCH = "bat_"
"""How the id of a batch begins."""
HANDED_OVER = "trf_"
"""How the batch of a claim begins that came from a transfer: it was the owner's own wish, and goes first."""


def waiting(connection: Connection, keyid: str, now_ms: int) -> Row[Any] | None:
    """The one claim that waits for this key; None also when a person came with the key's codes already."""
    bound = (claim.c.keyid == keyid) & (claim.c.status == "claiming") & (claim.c.expires > now_ms)
    if connection.execute(select(claim.c.id).where(bound)).first() is not None:
        return None
    rows = connection.execute(records.live(now_ms, "pending").where(claim.c.keyid == keyid)).all()
    handed = [row for row in rows if (row.batch_id or "").startswith(HANDED_OVER)]
    if handed:
        return handed[-1]
    return rows[0] if len({row.account_id for row in rows}) == 1 else None


def make_room(connection: Connection, keyid: str) -> None:
    """The card that the station showed meanwhile waits for nobody any more."""
    shown = (claim.c.keyid == keyid) & (claim.c.status == "scanning")
    for claim_id in connection.execute(select(claim.c.id).where(shown)).scalars().all():
        records.expire(connection, claim_id, "cancelled", "REG-002")


def purge(connection: Connection, keyid: str, *, keep: str | None = None) -> None:
    """Lists that named a key count no more once it has had an owner: a later release is for nobody's list."""
    waits = (claim.c.keyid == keyid) & (claim.c.status == "pending")
    for claim_id in connection.execute(select(claim.c.id).where(waits)).scalars().all():
        if claim_id != keep:
            records.expire(connection, claim_id, "already_registered", "REG-003")
