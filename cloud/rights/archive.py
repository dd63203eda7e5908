"""A copy of everything that belongs to an account, as a zip that is made while it is sent. Knows no HTTP.

Nothing is held but one page of rows or one piece of a file, however much there is. Blocking: take each piece
in a worker thread.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import msgspec
from aiohttp import web
from sqlalchemy import Column, Connection, Row, Table, select, tuple_

from cloud.fleet.files import MediaFiles
from cloud.rights.tables import of_accounts, of_stations, plain
from cloud.security import audit
from cloud.security.trail import Trail
from cloud.store.engine import Database
from cloud.store.schema import account, device, event_media, media
from protocol.limits import Rate

EXPORTS = Rate(5, 3600, 5)
_ROWS = 500
_PIECE = 1 << 20
_UNSAFE = re.compile(r"[^\w.-]+")
_README = """\
Everything that this cloud keeps about you and your stations.

account.json         you
<table>.jsonl        what belongs to your account, a row each line
security-log.jsonl   security events of your account and your stations
stations/<id>/       each of your stations: its own row, what belongs to it, and its files

Times are milliseconds since 1970 in UTC. Hashes of passwords and tokens are left out.
"""


class Archive:
    """Makes zips for all accounts."""

    def __init__(self, database: Database, files: MediaFiles, unix_ms: Callable[[], int]) -> None:
        self._db, self._files, self._unix_ms = database, files, unix_ms

    async def noted(self, account_id: str) -> Iterator[bytes]:
        """`pieces`, after a note in the security log."""
        now, actor = self._unix_ms(), f"person:{account_id}"
        await self._db.write(lambda c: audit.record(c, now, actor, "data_exported", account_id))
        return self.pieces(account_id)

    def pieces(self, account_id: str) -> Iterator[bytes]:
        """The zip of one account. Raises `StoreError` in the middle when the store fails."""
        sink = _Sink()
        with zipfile.ZipFile(cast(IO[bytes], sink), "w", zipfile.ZIP_DEFLATED) as archive:
            for name, parts in self._members(account_id):
                info = zipfile.ZipInfo(name)
                info.compress_type = zipfile.ZIP_STORED if "/files/" in name else zipfile.ZIP_DEFLATED
                with archive.open(info, "w", force_zip64=True) as member:
                    for part in parts:
                        member.write(part)
                        yield from sink.taken()
                yield from sink.taken()
        yield from sink.taken()

    def _members(self, account_id: str) -> Iterator[tuple[str, Iterator[bytes]]]:
        yield "README.txt", iter([_README.encode()])
        yield "account.json", self._rows(account, account.c.id, account_id)
        for table, column in of_accounts():
            yield f"{table.name}.jsonl", self._rows(table, column, account_id)
        yield "security-log.jsonl", Trail(self._db).export(account_id, "jsonl")
        own = select(device.c.id).where(device.c.account_id == account_id).order_by(device.c.id)
        for device_id in self._db.read_now(lambda c: list(c.execute(own).scalars())):
            yield from self._station(device_id)

    def _station(self, device_id: str) -> Iterator[tuple[str, Iterator[bytes]]]:
        place = f"stations/{device_id}"
        yield f"{place}/station.json", self._rows(device, device.c.id, device_id)
        for table, column in of_stations():
            yield f"{place}/{table.name}.jsonl", self._rows(table, column, device_id)
        stored = select(media.c.sha256).where(media.c.device_id == device_id).order_by(media.c.sha256)
        for sha256 in self._db.read_now(lambda c: list(c.execute(stored).scalars())):
            path = self._files.final(device_id, sha256)
            if path.is_file():
                name = self._db.read_now(partial(_name, sha256=sha256))
                yield f"{place}/files/{sha256[:16]}-{name}", _contents(path)

    def _rows(self, table: Table, column: Column[Any], owner: str) -> Iterator[bytes]:
        """JSON lines, a page of rows at a time."""
        last: tuple[Any, ...] | None = None
        while rows := self._db.read_now(partial(_page, table=table, column=column, owner=owner, last=last)):
            yield b"".join(msgspec.json.encode(plain(row)) + b"\n" for row in rows)
            last = tuple(rows[-1]._mapping[key.name] for key in table.primary_key.columns)


ARCHIVE = web.AppKey("archive", Archive)


def _page(
    connection: Connection, table: Table, column: Column[Any], owner: str, last: tuple[Any, ...] | None
) -> list[Row[Any]]:
    """The rows after `last` in the order of the primary key."""
    keys = list(table.primary_key.columns)
    query = select(table).where(column == owner).order_by(*keys).limit(_ROWS)
    if last is not None:
        query = query.where(tuple_(*keys) > tuple_(*last))
    return list(connection.execute(query).all())


def _name(connection: Connection, sha256: str) -> str:
    """The newest name that an event gave to a file, made harmless."""
    query = select(event_media.c.name).where(event_media.c.sha256 == sha256)
    name = connection.execute(query.order_by(event_media.c.event_pk.desc()).limit(1)).scalar_one_or_none()
    return _UNSAFE.sub("_", Path(name or "file").name)[-80:] or "file"


def _contents(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


class _Sink:
    """What the zip writes into: bytes until they are taken. It cannot seek, so no zip goes back in it."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._waiting.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing to do."""

    def taken(self) -> Iterator[bytes]:
        """What has been written since the last time."""
        data, self._waiting = b"".join(self._waiting), []
        if data:
            yield data
