"""Observations of stations, each kept exactly once as the bytes that came. No HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, insert, select

from cloud.fleet.boots import since_boot
from cloud.realtime.bus import Bus
from cloud.security.device_auth import DevicePrincipal
from cloud.security.limits import Limits
from cloud.store import fleet as queries
from cloud.store.engine import Database
from cloud.store.schema import event, event_media, media
from cloud.validation import check_nesting, decode
from protocol import clock
from protocol.errors import INVALID, Refusal
from protocol.event import Event, EventAnswer, Media, PendingMedia, parse_reference
from protocol.limits import DEVICE_DATA, MAX_EVENT_BYTES

_OF_THE_SENDING = frozenset(
    {"event_id", "clock", "boot_id", "mono_ns", "device_seq", "device_id", "media_files"}
)
"""Members that differ when the same observation is handed in again after a loss on the station."""


@dataclass(frozen=True)
class Received:
    """The answer for one event, the HTTP status it would have alone, and the refusal when there is one."""

    status: int
    answer: EventAnswer
    refusal: Refusal | None = None


@dataclass(frozen=True)
class _Read:
    """An event that passed all checks which need no store."""

    event: Event
    body: bytes
    files: dict[str, Media]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


class Events:
    """Receives the events of all stations. `upload_url` takes a device id."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        limits: Limits,
        upload_url: Callable[[str], str],
        unix_ms: Callable[[], int],
    ) -> None:
        self._db, self._bus, self._limits = database, bus, limits
        self._upload_url, self._unix_ms = upload_url, unix_ms

    async def receive(self, principal: DevicePrincipal, bodies: Sequence[bytes]) -> Sequence[Received]:
        """One answer per body, in order, after the commit. Raises `Refusal` REG-006 for the whole request."""
        await self._limits.take("data", principal.device_id, DEVICE_DATA)
        read = [_read(body, principal.device_id) for body in bodies]

        def keep(connection: Connection) -> list[Received]:
            return [
                _rejected(each, bodies[index])
                if isinstance(each, Refusal)
                else self._keep(connection, principal.device_id, each)
                for index, each in enumerate(read)
            ]

        answers = await self._db.write(keep)
        for each, answer in zip(read, answers, strict=True):
            if isinstance(each, _Read) and answer.status == 201:
                self._announce(principal, each.event)
        return answers

    def _announce(self, principal: DevicePrincipal, new: Event) -> None:
        told = {
            "deviceId": principal.device_id,
            "event_id": new.event_id,
            "event_type": new.event_type,
            "timestamp": new.timestamp,
        }
        self._bus.publish(principal.account_id, "event-received", told)

    def _keep(self, connection: Connection, device_id: str, new: _Read) -> Received:
        known = queries.same_event(
            connection, device_id, new.event.event_id, new.event.client_event_id, new.event.revision
        )
        if known is None:
            self._insert(connection, device_id, new)
            return self._received(connection, device_id, new, 201)
        if known.body_sha256 == new.sha256 or _same_observation(known, new):
            return self._received(connection, device_id, new, 200, known.event_id)
        other = "event_id" if known.event_id == new.event.event_id else "client_event_id"
        detail = f"Another event has this {other} already."
        refusal = Refusal("REG-007", "conflicting_event", detail, field=f"$.{other}")
        return _rejected(refusal, new.body)

    def _insert(self, connection: Connection, device_id: str, new: _Read) -> None:
        result = connection.execute(
            insert(event)
            .values(
                device_id=device_id,
                event_id=new.event.event_id,
                client_event_id=new.event.client_event_id,
                revision=new.event.revision,
                body_sha256=new.sha256,
                body=new.body,
                received_ms=self._unix_ms(),
                timestamp=new.event.timestamp,
                event_type=new.event.event_type,
                confidence=new.event.confidence,
                status=new.event.status,
                **since_boot(new.event),
            )
            .returning(event.c.pk)
        )
        key = result.scalar_one()
        for file in new.files.values():
            values = {name: getattr(file, name) for name in ("sha256", "size", "mime", "name", "role")}
            connection.execute(insert(event_media).values(event_pk=key, **values))

    def _received(
        self, connection: Connection, device_id: str, new: _Read, status: int, kept_as: str | None = None
    ) -> Received:
        there = _stored(connection, device_id, new.files)
        url = self._upload_url(device_id)
        missing = [
            PendingMedia(sha256=file.sha256, size=file.size, upload_url=url)
            for file in new.files.values()
            if file.sha256 not in there
        ]
        answer = EventAnswer(
            event_id=new.event.event_id,
            status="received",
            duplicate=status == 200,
            kept_as=None if kept_as == new.event.event_id else kept_as,
            media_pending=missing,
        )
        return Received(status, answer)


def _read(body: bytes, device_id: str) -> _Read | Refusal:
    if len(body) > MAX_EVENT_BYTES:
        return Refusal("REG-007", "too_large", "An event has at most 64 KiB.", field="$", status=413)
    try:
        new = decode(body, Event)
        check_nesting(new.metadata, "$.metadata")
        _check_time(new.timestamp)
        files = _files(new)
    except Refusal as refusal:
        return refusal
    if new.device_id is not None and new.device_id != device_id:
        return Refusal("REG-007", INVALID, "The event names another station.", field="$.device_id")
    return _Read(new, body, files)


def _check_time(text: str) -> None:
    try:
        clock.parse(text)
    except ValueError as error:
        raise Refusal("REG-007", INVALID, f"This is no time: {error}.", field="$.timestamp") from None
    if len(text) > 40:
        raise Refusal("REG-007", INVALID, "A time has at most 40 characters.", field="$.timestamp")


def _files(new: Event) -> dict[str, Media]:
    """The event's files by hash, from the long form and the short one."""
    files = {file.sha256: file for file in reversed(new.media)}
    for text in new.media_files:
        reference = parse_reference(text)
        if reference is None:
            continue  # a plain name: the long form describes it
        sha256, size, mime = reference
        file = files.setdefault(sha256, _media(sha256, size, mime))
        if file.size != size:
            raise Refusal("REG-007", INVALID, "One file has two sizes.", field="$.media_files")
    return files


def _media(sha256: str, size: int, mime: str) -> Media:
    try:
        return msgspec.convert({"name": sha256, "mime": mime, "sha256": sha256, "size": size}, Media)
    except msgspec.ValidationError as error:
        raise Refusal("REG-007", INVALID, f"{error}.", field="$.media_files") from None


def _stored(connection: Connection, device_id: str, hashes: Iterable[str]) -> set[str]:
    query = select(media.c.sha256).where(media.c.device_id == device_id, media.c.sha256.in_(list(hashes)))
    return set(connection.execute(query).scalars())


def _same_observation(known: Row[Any], new: _Read) -> bool:
    """The same content under another event id: a program handed it in twice."""
    if known.event_id == new.event.event_id:
        return False
    return _content(known.body) == _content(new.body)


def _content(body: bytes) -> dict[str, Any]:
    members: dict[str, Any] = msgspec.json.decode(body)
    return {name: value for name, value in members.items() if name not in _OF_THE_SENDING}


def _rejected(refusal: Refusal, body: bytes) -> Received:
    answer = EventAnswer(
        event_id=_event_id(body),
        status="rejected",
        processing_started=False,
        code=refusal.code,
        reason=refusal.reason,
        detail=f"{refusal.detail} ({refusal.field})" if refusal.field else refusal.detail,
    )
    return Received(refusal.status, answer, refusal)


class _Named(msgspec.Struct):
    event_id: str = ""


def _event_id(body: bytes) -> str:
    """The id of an event that could not be read otherwise, so that its sender finds it again."""
    try:
        return msgspec.json.decode(body, type=_Named).event_id[:36]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
