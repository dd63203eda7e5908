"""The append-only record of security events, each chained to the one before by its hash. Decides nothing."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select

from cloud.store.schema import audit

FIRST = "0" * 64


def record(connection: Connection, at_ms: int, actor: str, action: str, subject: str, **detail: Any) -> None:
    """Adds one entry in the caller's transaction, so that it stands exactly when the change stands.

    `actor` is `person:<account>`, `device:<keyid>` or `system`; no secret may be among the details.
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
    }
    connection.execute(insert(audit).values(**entry, hash=_digest(entry)))


def first_broken(connection: Connection) -> int | None:
    """The sequence number of the first entry that was changed, removed or inserted; None when all hold."""
    previous, expected = FIRST, 1
    for row in connection.execute(select(audit).order_by(audit.c.seq)).mappings():
        entry = {name: row[name] for name in row if name != "hash"}
        if row["seq"] != expected or row["prev_hash"] != previous or row["hash"] != _digest(entry):
            return expected
        previous, expected = row["hash"], expected + 1
    return None


def _digest(entry: dict[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(entry, order="sorted")).hexdigest()
