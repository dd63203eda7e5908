"""The intake: an observation and its files become one committed message; which door they came by is not here.

The order that survives a power cut: files on the disk, then the message that names them, then the yes.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import time as wall_clock
from typing import Protocol

from appliance.sources.build import StationTime, build_event, encode_event, priority_of
from appliance.sources.errors import MEDIA_DIFFERS, SourceRefused
from appliance.sources.mime import mime_of
from appliance.sources.schema import Observation, SourceMedia
from buffer.message import Draft, MediaRef, Receipt

log = logging.getLogger(__name__)

KIND = "event"


class EventStore(Protocol):
    """Where messages are committed."""

    async def put(self, draft: Draft) -> Receipt:
        """Returns after the commit."""


class FileStore(Protocol):
    """Where media are kept by their hash."""

    async def add_stream(
        self, chunks: AsyncIterator[bytes], mime: str, name: str, role: str, *, limit: int | None = None
    ) -> MediaRef:
        """Takes bytes in and holds them until `release`."""

    async def release(self, sha256: str) -> None:
        """Ends one hold."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The yes: the event is on the disk. For a duplicate it was there before."""

    event_id: str
    client_event_id: str
    revision: int
    event_type: str
    duplicate: bool
    files: tuple[MediaRef, ...] = ()


class Intake:
    """One for the station; its doors share it."""

    def __init__(
        self,
        store: EventStore,
        media: FileStore,
        time: StationTime,
        observer: Callable[[Accepted], None] | None = None,
        *,
        wall: Callable[[], float] = wall_clock,
    ) -> None:
        """`observer` is told of every accepted event, duplicates included, after its commit.

        `wall` is the clock that camera programs on this machine see, in seconds since 1970.
        """
        self._store = store
        self._media = media
        self._time = time
        self._observer = observer
        self._wall = wall

    @asynccontextmanager
    async def delivery(self) -> AsyncIterator[Delivery]:
        """The files and the observation of one event; of what was not accepted nothing stays behind."""
        delivery = Delivery(self._media, self._commit)
        try:
            yield delivery
        finally:
            for sha256 in delivery.held:
                await self._media.release(sha256)

    async def _commit(self, observation: Observation, files: list[MediaRef], adapter: str) -> Accepted:
        event = build_event(observation, files, adapter, self._time, self._wall())
        draft = Draft(
            kind=KIND,
            payload=encode_event(event),
            priority=priority_of(observation),
            idempotency_key=event.client_event_id,
            revision=event.revision,
            media=tuple(files),
        )
        receipt = await self._store.put(draft)
        accepted = Accepted(
            event.event_id,
            event.client_event_id,
            event.revision,
            event.event_type,
            receipt.duplicate,
            tuple(files),
        )
        known = ", known already" if receipt.duplicate else ""
        log.info(
            "%s %r by %s, %d files%s", event.event_type, event.client_event_id, adapter, len(files), known
        )
        if self._observer is not None:
            self._observer(accepted)
        return accepted


class Delivery:
    """The files of one event, then the observation; made by `Intake.delivery`."""

    def __init__(
        self,
        media: FileStore,
        commit: Callable[[Observation, list[MediaRef], str], Awaitable[Accepted]],
    ) -> None:
        """`held` are the hashes that wait for their release."""
        self.held: list[str] = []
        self._media = media
        self._commit = commit

    async def add(self, name: str, chunks: AsyncIterator[bytes]) -> MediaRef:
        """Takes the bytes of one file in. Raises the errors of the media store."""
        ref = await self._media.add_stream(chunks, mime_of(name), name, "media")
        self.held.append(ref.sha256)
        return ref

    async def accept(
        self, observation: Observation, files: Iterable[tuple[SourceMedia, MediaRef]], adapter: str
    ) -> Accepted:
        """Commits the event with these files; `adapter` names the door.

        Raises `SourceRefused` when a file is not the one that was announced, and the errors of the store.
        """
        refs: dict[str, MediaRef] = {}
        for told, ref in files:
            _compare(told, ref)
            refs.setdefault(
                ref.sha256, MediaRef(ref.sha256, ref.size, told.mime or ref.mime, told.name, told.role)
            )
        return await self._commit(observation, list(refs.values()), adapter)


def _compare(told: SourceMedia, ref: MediaRef) -> None:
    for what, expected, actual in (("size", told.size, ref.size), ("sha256", told.sha256, ref.sha256)):
        if expected is not None and expected != actual:
            raise SourceRefused(
                MEDIA_DIFFERS,
                f"The {what} of {told.name!r} is {actual}, not {expected}.",
                "Write the file completely before the .json, and compute the values from it.",
                field="$.media",
                incomplete=True,
            )
