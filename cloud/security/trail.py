"""Reading the audit trail: whose rows somebody may see, in pages and as a whole. Writing it is in `audit`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, or_, select, true

from cloud.store.engine import Database
from cloud.store.schema import account, audit, claim, device
from protocol.clock import from_unix
from protocol.messages import Answer

MOST_ROWS = 200
_EXPORT_ROWS = 1000

Format = Literal["jsonl", "csv"]
KINDS: dict[str, str] = {"jsonl": "application/jsonl", "csv": "text/csv"}


class AuditEntry(Answer):
    """One security event. `hash` covers everything else, and `prev_hash` is that of the row before."""

    seq: int
    at: str
    at_ms: int
    actor: str
    action: str
    subject: str
    device_id: str | None
    address: str | None
    detail: dict[str, Any]
    prev_hash: str
    hash: str


class AuditList(Answer):
    """Newest first. `next_before` is None on the last page."""

    entries: list[AuditEntry]
    next_before: int | None


class Trail:
    """The rows that one person may see; `account_id` None stands for an administrator, who sees all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, account_id: str | None, before: int | None = None, limit: int = 50) -> AuditList:
        """Newest first; `before` is the `seq` of the last one seen."""
        most = min(max(limit, 1), MOST_ROWS)

        def read(connection: Connection) -> AuditList:
            rows = _newest(connection, account_id, before, most + 1)
            shown = [_entry(row) for row in rows[:most]]
            return AuditList(entries=shown, next_before=shown[-1].seq if len(rows) > most else None)

        return await self._database.read(read)

    async def names(self, entries: Sequence[AuditEntry]) -> dict[str, str]:
        """Names of the persons and stations that these rows speak of and that still exist."""
        people = {entry.actor.removeprefix("person:") for entry in entries} | {e.subject for e in entries}
        devices = {entry.device_id for entry in entries if entry.device_id}

        def read(connection: Connection) -> dict[str, str]:
            return {
                row.id: row.name
                for table, wanted in ((account, people), (device, devices))
                for row in connection.execute(select(table.c.id, table.c.name).where(table.c.id.in_(wanted)))
            }

        return await self._database.read(read)

    def export(self, account_id: str | None, kind: Format) -> Iterator[bytes]:
        """All rows, oldest first, in pieces. Blocking: take each piece in a thread."""
        if kind == "csv":
            yield _csv([list(AuditEntry.__struct_fields__)])
        after = 0
        while rows := self._database.read_now(partial(_after, account_id=account_id, after=after)):
            yield lines(rows, kind)
            after = rows[-1].seq


def lines(rows: Sequence[Row[Any]], kind: Format) -> bytes:
    """Rows as JSON lines or CSV without its header."""
    entries = [_entry(row) for row in rows]
    if kind == "jsonl":
        return b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)
    return _csv([_cells(entry) for entry in entries])


def _cells(entry: AuditEntry) -> list[Any]:
    values = msgspec.structs.asdict(entry)
    values["detail"] = msgspec.json.encode(entry.detail, order="sorted").decode()
    return list(values.values())


def _csv(table: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(table)
    return text.getvalue().encode("utf-8")


def _newest(
    connection: Connection, account_id: str | None, before: int | None, limit: int
) -> Sequence[Row[Any]]:
    query = select(audit).where(_visible(account_id)).order_by(audit.c.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(audit.c.seq < before)
    return connection.execute(query).all()


def _after(connection: Connection, account_id: str | None, after: int) -> Sequence[Row[Any]]:
    query = select(audit).where(_visible(account_id), audit.c.seq > after).order_by(audit.c.seq)
    return connection.execute(query.limit(_EXPORT_ROWS)).all()


def _visible(account_id: str | None) -> ColumnElement[bool]:
    """What a person did, what was done to the account, its stations and its claims."""
    if account_id is None:
        return true()
    own_devices = select(device.c.id).where(device.c.account_id == account_id)
    own_claims = select(claim.c.id).where(claim.c.account_id == account_id)
    return or_(
        audit.c.actor == f"person:{account_id}",
        audit.c.subject == account_id,
        audit.c.device_id.in_(own_devices),
        audit.c.subject.in_(own_claims),
    )


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        seq=row.seq,
        at=from_unix(row.at / 1000),
        at_ms=row.at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        device_id=row.device_id,
        address=row.address,
        detail=msgspec.json.decode(row.detail),
        prev_hash=row.prev_hash,
        hash=row.hash,
    )
