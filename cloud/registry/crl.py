"""The certificate revocation list: built from the store, kept in memory and in a file for brokers.

There is one list per intermediate, all in one PEM text. A list is good for seven days and made anew after
half a day, even when nothing changed, because a broker with a stale one refuses everybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, case, delete, func, insert, select, union_all

from cloud.registry.authority import Authority, Revoked
from cloud.security.vault import sync_folder
from cloud.store.engine import Database
from cloud.store.schema import certificate, ended_certificate

REBUILD_MS = 12 * 3600 * 1000
VALID = timedelta(days=7)

_State = tuple[int, int]
"""How many certificates were ended, and when the last was: it changes with every one."""


class RevocationList:
    """The list in force. `file` is where brokers read it."""

    def __init__(
        self, database: Database, authority: Authority, file: Path, unix_ms: Callable[[], int]
    ) -> None:
        self._db, self._authority, self._file, self._unix_ms = database, authority, file, unix_ms
        self._pem, self._made_ms, self._state = b"", 0, (-1, 0)
        self._one = asyncio.Lock()

    async def current(self) -> bytes:
        """The list in PEM, made anew when anybody revoked something and after half a day."""
        async with self._one:
            state = await self._db.read(_state)
            if state != self._state or self._unix_ms() - self._made_ms >= REBUILD_MS:
                await self._rebuild(state)
            return self._pem

    async def refresh(self) -> None:
        """A duty of upkeep: keeps the file fresh, and forgets what ended by itself."""
        await self._db.write(partial(_forget, self._unix_ms()))
        await self.current()

    async def _rebuild(self, state: _State) -> None:
        now = self._unix_ms()
        rows = await self._db.read(lambda connection: _ended(connection, now))
        self._pem = await asyncio.to_thread(build, self._authority, rows, now)
        await asyncio.to_thread(publish, self._file, self._pem)
        self._made_ms, self._state = now, state


def build(authority: Authority, rows: Sequence[Row[Any]], now_ms: int) -> bytes:
    """All lists in one PEM text. Its number is the time, so that it only grows."""
    revoked = [Revoked(row.serial, row.issuer, row.revoked_ms, row.reason or "superseded") for row in rows]
    return authority.revocation_lists(revoked, datetime.fromtimestamp(now_ms / 1000, UTC), VALID, now_ms)


def build_now(database: Database, authority: Authority, file: Path, now_ms: int) -> None:
    """The file at once, for the command line."""
    rows = database.read_now(lambda connection: _ended(connection, now_ms))
    publish(file, build(authority, rows, now_ms))


def publish(file: Path, content: bytes) -> None:
    """Replaces a file that others read: they find the old one or the new one, whole."""
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), 0o644)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    sync_folder(file.parent)


def outlive(connection: Connection, device_id: str, now_ms: int) -> None:
    """Notes the certificates of a station that is about to be deleted, in the caller's transaction.

    Those that nobody ended are ended now. What is kept names no person and no station.
    """
    kept = select(
        certificate.c.serial,
        certificate.c.issuer,
        certificate.c.not_after,
        func.coalesce(certificate.c.revoked_ms, now_ms),
        case((certificate.c.revoked_ms.is_(None), "cessation_of_operation"), else_=certificate.c.reason),
    ).where(certificate.c.device_id == device_id, certificate.c.not_after > _named_until(now_ms))
    columns = ["serial", "issuer", "not_after", "revoked_ms", "reason"]
    connection.execute(insert(ended_certificate).from_select(columns, kept))


def _named_until(now_ms: int) -> int:
    """A list names what ended after this: each certificate once more after its own end."""
    return now_ms - 2 * REBUILD_MS


def _forget(now_ms: int, connection: Connection) -> None:
    old = ended_certificate.c.not_after <= _named_until(now_ms)
    connection.execute(delete(ended_certificate).where(old))


def _state(connection: Connection) -> _State:
    own = select(func.count(), func.max(certificate.c.revoked_ms)).where(
        certificate.c.revoked_ms.is_not(None)
    )
    orphaned = select(func.count(), func.max(ended_certificate.c.revoked_ms))
    counts = [connection.execute(query).one() for query in (own, orphaned)]
    return sum(int(count) for count, _ in counts), max(int(last or 0) for _, last in counts)


def _ended(connection: Connection, now_ms: int) -> Sequence[Row[Any]]:
    """Certificates that would still hold if nobody had ended them. The next list names them once more."""
    since = _named_until(now_ms)
    own, orphaned = (
        select(table.c.serial, table.c.issuer, table.c.revoked_ms, table.c.reason).where(
            table.c.revoked_ms.is_not(None), table.c.not_after > since
        )
        for table in (certificate, ended_certificate)
    )
    both = union_all(own, orphaned).subquery()
    return connection.execute(select(both).order_by(both.c.serial)).all()
