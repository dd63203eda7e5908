"""Files of events arriving in pieces, as tus 1.0 has it. No HTTP; bytes are written by `files`.

What was acknowledged is on disk; what is on disk and was not acknowledged is cut off. A file gets its final
name only after its SHA-256 was found right, so a final name found without a row was earned and is entered.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy import Connection, Row, delete, insert, select, update

from cloud.fleet.files import MediaFiles
from cloud.realtime.bus import Bus
from cloud.security.device_auth import DevicePrincipal
from cloud.security.limits import Limits
from cloud.store.engine import Database
from cloud.store.schema import event, event_media, media, upload
from protocol.codes import ulid
from protocol.errors import INVALID, Refusal, not_found
from protocol.limits import DEVICE_DATA

_ALGORITHMS = {"sha256": hashlib.sha256, "sha1": hashlib.sha1}
CHECKSUM_MISMATCH = 460
"""The status that tus gives to a piece that arrived damaged."""


@dataclass(frozen=True)
class UploadState:
    """One upload: `offset` of `size` bytes are safe; `expires_ms` is when it is forgotten."""

    id: str
    device_id: str
    sha256: str
    offset: int
    size: int
    expires_ms: int


class MediaStore:
    """Uploads of all stations. `life_s` is how long an unfinished upload is kept."""

    def __init__(
        self,
        database: Database,
        files: MediaFiles,
        bus: Bus,
        limits: Limits,
        life_s: int,
        unix_ms: Callable[[], int],
    ) -> None:
        self._db, self._files, self._bus, self._limits = database, files, bus, limits
        self._life_ms, self._unix_ms = life_s * 1000, unix_ms
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def create(self, principal: DevicePrincipal, sha256: str, size: int) -> UploadState:
        """The upload of this file, the same one however often it is asked for. Raises `Refusal`."""
        await self._limits.take("data", principal.device_id, DEVICE_DATA)
        now = self._unix_ms()
        made = await self._db.write(
            lambda c: _create(c, principal.device_id, sha256, size, now, now + self._life_ms)
        )
        if isinstance(made, Refusal):
            raise made
        if size == 0:
            return await self.append(principal, made, 0, b"", None)
        return await self.state(principal, made)

    async def state(self, principal: DevicePrincipal, upload_id: str) -> UploadState:
        """How far an upload came. Raises `not_found` for a foreign one too."""
        async with self._lock(upload_id):
            return await self._reconciled(principal, upload_id)

    async def append(
        self, principal: DevicePrincipal, upload_id: str, offset: int, data: bytes, checksum: str | None
    ) -> UploadState:
        """Adds a piece; it is on disk when this returns. Raises `Refusal` 409, 460 or 422."""
        check_piece(data, checksum)
        async with self._lock(upload_id):
            state = await self._reconciled(principal, upload_id)
            end = offset + len(data)
            if state.offset != offset:
                raise Refusal(None, "offset_mismatch", f"The next byte is {state.offset}.", status=409)
            if end > state.size:
                raise Refusal(None, "too_large", "The piece goes beyond the end of the file.", status=413)
            if state.offset < state.size or state.size == 0:
                part = self._files.part(state.device_id, upload_id)
                await asyncio.to_thread(self._files.append, part, offset, data)
                await self._advance(principal, state, end)
            return await self._reconciled(principal, upload_id)

    async def _advance(self, principal: DevicePrincipal, state: UploadState, end: int) -> None:
        if end < state.size:
            await self._db.write(lambda c: _received(c, state.id, end))
            return
        part = self._files.part(state.device_id, state.id)
        if await asyncio.to_thread(self._files.sha256, part) != state.sha256:
            await self._db.write(lambda c: c.execute(delete(upload).where(upload.c.id == state.id)).close())
            await asyncio.to_thread(self._files.drop, part)
            detail = "The file that arrived does not have its SHA-256; it was dropped."
            raise Refusal("REG-007", "hash_mismatch", detail, field="$.sha256")
        final = self._files.final(state.device_id, state.sha256)
        await asyncio.to_thread(self._files.finish, part, final)
        await self._complete(principal, state)

    async def _complete(self, principal: DevicePrincipal, state: UploadState) -> None:
        now = self._unix_ms()
        event_ids = await self._db.write(partial(_complete, state=state, now_ms=now))
        for event_id in event_ids:
            told = {"deviceId": state.device_id, "event_id": event_id, "sha256": state.sha256}
            self._bus.publish(principal.account_id, "event-media", told)

    async def _reconciled(self, principal: DevicePrincipal, upload_id: str) -> UploadState:
        """The row, corrected by what is really on disk after a crash."""
        row = await self._db.read(partial(_upload, device_id=principal.device_id, upload_id=upload_id))
        if row is None:
            raise not_found()
        state = UploadState(row.id, row.device_id, row.sha256, row.received, row.size, row.expires)
        if row.stored:
            return UploadState(state.id, state.device_id, state.sha256, state.size, state.size, row.expires)
        final = self._files.final(state.device_id, state.sha256)
        if await asyncio.to_thread(self._files.size, final) == state.size:
            await self._complete(principal, state)
            return UploadState(state.id, state.device_id, state.sha256, state.size, state.size, row.expires)
        part = self._files.part(state.device_id, upload_id)
        there = min(await asyncio.to_thread(self._files.size, part) or 0, row.received)
        if there != row.received:
            await self._db.write(lambda c: _received(c, upload_id, there))
        return UploadState(state.id, state.device_id, state.sha256, there, state.size, row.expires)

    def _lock(self, upload_id: str) -> asyncio.Lock:
        return self._locks.setdefault(upload_id, asyncio.Lock())

    async def sweep(self) -> None:
        """Forgets uploads whose time ran out, and their unfinished files."""
        now = self._unix_ms()
        for row in await self._db.write(partial(_expired, now_ms=now)):
            await asyncio.to_thread(self._files.drop, self._files.part(row.device_id, row.id))


def check_piece(data: bytes, checksum: str | None) -> None:
    """Compares a piece with its `Upload-Checksum`. Raises `Refusal` 400 or 460."""
    if checksum is None:
        return
    name, _, encoded = checksum.partition(" ")
    if name not in _ALGORITHMS:
        raise Refusal(None, INVALID, "Upload-Checksum may be sha256 or sha1.", status=400)
    if base64.b64encode(_ALGORITHMS[name](data).digest()).decode("ascii") != encoded.strip():
        raise Refusal(None, "checksum_mismatch", "The piece arrived damaged.", status=CHECKSUM_MISMATCH)


def _create(
    connection: Connection, device_id: str, sha256: str, size: int, now_ms: int, expires: int
) -> str | Refusal:
    named = (
        select(event_media.c.size, event_media.c.mime)
        .join_from(event_media, event)
        .where(event.c.device_id == device_id, event_media.c.sha256 == sha256)
    )
    rows = connection.execute(named).all()
    if not rows:
        return Refusal("REG-007", "not_named", "No event of this station names this file.", field="$.sha256")
    found = next((row for row in rows if row.size == size), None)
    if found is None:
        detail = f"The event says {rows[0].size} bytes."
        return Refusal("REG-007", INVALID, detail, field="$.upload_length")
    mine = (upload.c.device_id == device_id) & (upload.c.sha256 == sha256)
    known = connection.execute(select(upload.c.id).where(mine)).scalar_one_or_none()
    if known is not None:
        connection.execute(update(upload).where(mine).values(expires=expires))
        return str(known)
    made = ulid("upl_", now_ms)
    connection.execute(
        insert(upload).values(
            id=made,
            device_id=device_id,
            sha256=sha256,
            size=size,
            received=0,
            mime=found.mime,
            created=now_ms,
            expires=expires,
        )
    )
    return made


def _upload(connection: Connection, device_id: str, upload_id: str) -> Any:
    query = (
        select(upload, media.c.sha256.is_not(None).label("stored"))
        .outerjoin(media, (media.c.device_id == upload.c.device_id) & (media.c.sha256 == upload.c.sha256))
        .where(upload.c.id == upload_id, upload.c.device_id == device_id)
    )
    return connection.execute(query).first()


def _received(connection: Connection, upload_id: str, count: int) -> None:
    connection.execute(update(upload).where(upload.c.id == upload_id).values(received=count))


def _complete(connection: Connection, state: UploadState, now_ms: int) -> list[str]:
    """Enters a file that is whole; the ids of the events that name it."""
    _received(connection, state.id, state.size)
    mine = (media.c.device_id == state.device_id) & (media.c.sha256 == state.sha256)
    if connection.execute(select(media.c.sha256).where(mine)).first() is None:
        connection.execute(
            insert(media).values(
                device_id=state.device_id, sha256=state.sha256, size=state.size, stored_ms=now_ms
            )
        )
    query = (
        select(event.c.event_id)
        .join_from(event_media, event)
        .where(event.c.device_id == state.device_id, event_media.c.sha256 == state.sha256)
    )
    return list(connection.execute(query).scalars())


def _expired(connection: Connection, now_ms: int) -> list[Row[Any]]:
    rows = connection.execute(select(upload).where(upload.c.expires <= now_ms)).all()
    connection.execute(delete(upload).where(upload.c.expires <= now_ms))
    return list(rows)
