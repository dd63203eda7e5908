"""The append-only record of security events, each chained to the one before by its hash. Decides nothing.

Whoever changes or removes a row breaks the chain there. Whoever cuts off its end is found by the seal, a file
outside of the database that names the newest row (`cloud.security.seal`). Reading it is in `trail`.
"""

from __future__ import annotations

import hashlib
from contextvars import ContextVar
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select

from cloud.store.schema import audit

FIRST = "0" * 64

caller: ContextVar[str | None] = ContextVar("caller", default=None)
"""The network address of the request that is being answered; None outside of requests."""

_LATER_COLUMNS = ("address", "device_id")
"""Not hashed while empty, so that rows from before these columns keep their hashes."""


def record(
    connection: Connection,
    at_ms: int,
    actor: str,
    action: str,
    subject: str,
    *,
    address: str | None = None,
    device: str | None = None,
    **detail: Any,
) -> None:
    """Adds one entry in the caller's transaction, so that it stands exactly when the change stands.

    `actor` is `person:<account>`, `device:<keyid>`, `system` or `anonymous`. `address` is by default that of
    the request, `device` the subject when that is a station. Nothing secret and nobody's name or mail address
    may be among the details: the row outlives the account.
    """
    last = connection.execute(select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)).first()
    sequence, previous = (last.seq + 1, last.hash) if last else (1, FIRST)
    entry = {
        "seq": sequence,
        "at": at_ms,
        "actor": actor,
        "action": action,
        "subject": subject,
        "detail": msgspec.json.encode(detail, order="sorted").decode(),
        "prev_hash": previous,
        "address": address or caller.get(),
        "device_id": device or (subject if subject.startswith("dev_") else None),
    }
    connection.execute(insert(audit).values(**entry, hash=_digest(entry)))


def first_broken(connection: Connection) -> int | None:
    """The sequence number of the first entry that was changed, removed or inserted; None when all hold."""
    previous, expected = FIRST, 1
    rows = connection.execute(select(audit).order_by(audit.c.seq).execution_options(yield_per=1000))
    for row in rows.mappings():
        entry = {name: row[name] for name in row if name != "hash"}
        if row["seq"] != expected or row["prev_hash"] != previous or row["hash"] != _digest(entry):
            return expected
        previous, expected = row["hash"], expected + 1
    return None


def head(connection: Connection) -> tuple[int, str]:
    """Number and hash of the newest entry; (0, `FIRST`) when there is none."""
    row = connection.execute(select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)).first()
    return (row.seq, row.hash) if row else (0, FIRST)


def holds(connection: Connection, sequence: int, digest: str) -> bool:
    """Whether the entry of this number is there and has this hash."""
    if sequence == 0:
        return digest == FIRST
    found = connection.execute(select(audit.c.hash).where(audit.c.seq == sequence)).scalar_one_or_none()
    return found == digest


def _digest(entry: dict[str, Any]) -> str:
    hashed = {name: value for name, value in entry.items() if name not in _LATER_COLUMNS or value is not None}
    return hashlib.sha256(msgspec.json.encode(hashed, order="sorted")).hexdigest()
