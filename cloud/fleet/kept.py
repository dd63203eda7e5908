"""Answers a station that asks whether what it was told yes for is still here. No HTTP.

A station deletes its own copy only after this answer, so it is read from what is committed, and a file counts
only while it lies on the disk in its full length.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, select

from cloud.fleet.files import MediaFiles
from cloud.security.device_auth import DevicePrincipal
from cloud.security.limits import Limits
from cloud.store.engine import Database
from cloud.store.schema import event, media, upload
from protocol.event import KeptAnswer, KeptRequest
from protocol.limits import DEVICE_QUESTIONS


class Kept:
    """Looks things up for all stations."""

    def __init__(self, database: Database, files: MediaFiles, limits: Limits) -> None:
        self._db, self._files, self._limits = database, files, limits

    async def missing(self, principal: DevicePrincipal, question: KeptRequest) -> KeptAnswer:
        """What this station has to send again. Raises `Refusal` REG-006, `StoreError`."""
        await self._limits.take("question", principal.device_id, DEVICE_QUESTIONS)
        device_id = principal.device_id
        events, rows = await self._db.read(
            lambda c: (_events(c, device_id, question.events), _files(c, device_id, question.media))
        )
        gone = await asyncio.to_thread(self._without_file, device_id, rows)
        if gone:
            await self._db.write(lambda c: _forget(c, device_id, gone))
        there = set(rows) - set(gone)
        return KeptAnswer(
            missing_events=[each for each in question.events if each not in events],
            missing_media=[each for each in question.media if each not in there],
        )

    def _without_file(self, device_id: str, sizes: dict[str, int]) -> list[str]:
        return [
            sha256
            for sha256, size in sizes.items()
            if self._files.size(self._files.final(device_id, sha256)) != size
        ]


def _events(connection: Connection, device_id: str, ids: Iterable[str]) -> set[str]:
    query = select(event.c.event_id).where(event.c.device_id == device_id, event.c.event_id.in_(list(ids)))
    return set(connection.execute(query).scalars())


def _files(connection: Connection, device_id: str, hashes: Iterable[str]) -> dict[str, int]:
    query = select(media.c.sha256, media.c.size).where(
        media.c.device_id == device_id, media.c.sha256.in_(list(hashes))
    )
    return {row.sha256: row.size for row in connection.execute(query)}


def _forget(connection: Connection, device_id: str, hashes: Sequence[str]) -> None:
    """These files are not on the disk, whatever the tables say: they can be sent anew."""
    for table in (media, upload):
        connection.execute(delete(table).where(table.c.device_id == device_id, table.c.sha256.in_(hashes)))
