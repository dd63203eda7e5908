"""A message as a row and back, with the checksum over both its head and its payload; no SQL runs here."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from buffer.clock import Stamp
from buffer.errors import MessageDamaged
from buffer.message import Draft, MediaRef, Message, Priority, boot_of, priority_of
from buffer.timeline import Timeline

ENCODING_PLAIN = 0

COLUMNS = (
    "id, uuid, kind, content_type, idempotency_key, revision, boottime_ms, wall_ms, expires_ms, "
    "retry_count, media, encoding, crc, payload"
)


class Record(NamedTuple):
    """One row, in the order of COLUMNS."""

    id: int
    uuid: bytes
    kind: str
    content_type: str
    idempotency_key: str | None
    revision: int
    boottime_ms: int
    wall_ms: int
    expires_ms: int | None
    retry_count: int
    media: int
    encoding: int
    crc: int
    payload: bytes


def from_draft(draft: Draft, row_id: int, uuid: bytes, now: Stamp, powered_on_ms: int) -> Record:
    """The row for a draft; `powered_on_ms` is now on the time line, from which expiry counts."""
    expires_ms = None
    if draft.expires_in is not None and draft.priority is not Priority.CRITICAL:
        expires_ms = powered_on_ms + int(draft.expires_in * 1000)
    head = (
        row_id, uuid, draft.kind, draft.content_type, draft.idempotency_key, draft.revision, now.boottime_ms,
        now.wall_ms, expires_ms,
    )  # fmt: skip
    payload = bytes(draft.payload)
    crc = _checksum(head, len(draft.media), ENCODING_PLAIN, payload)
    return Record(*head, 0, len(draft.media), ENCODING_PLAIN, crc, payload)


def checksum(record: Record) -> int:
    """CRC-32 (the one of zlib) over everything that never changes in a row, its id included.

    SQLite's own integrity check does not see a flipped bit in a payload; this does.
    """
    return _checksum(record[:9], record.media, record.encoding, record.payload)


def _checksum(head: tuple[object, ...], media: int, encoding: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(repr((head, media, encoding)).encode()))


def to_message(record: Record, media: Sequence[MediaRef], timeline: Timeline) -> Message:
    """The message in a row. Raises MessageDamaged when the checksum does not match."""
    if checksum(record) != record.crc or len(media) != record.media:
        raise MessageDamaged(f"Message {record.id} is not what was written.")
    boot = boot_of(record.id)
    enqueued_at, trusted = timeline.wall(boot, record.boottime_ms, record.wall_ms)
    expires_at = None
    if record.expires_ms is not None:
        left = record.expires_ms - timeline.powered_on_ms(boot, record.boottime_ms)
        expires_at = enqueued_at + timedelta(milliseconds=left)
    return Message(
        id=record.id, uuid=uuid_text(record.uuid), kind=record.kind, priority=priority_of(record.id),
        payload=record.payload, content_type=record.content_type, idempotency_key=record.idempotency_key,
        revision=record.revision, enqueued_at=enqueued_at, clock_trusted=trusted, boot=boot,
        boottime_ms=record.boottime_ms, retry_count=record.retry_count, expires_at=expires_at,
        media=tuple(media),
    )  # fmt: skip


def from_row(row: Sequence[Any]) -> Record:
    """The record in a row selected with COLUMNS."""
    return Record._make(row)


def new_uuid(wall_ms: int, entropy: Callable[[int], bytes]) -> bytes:
    """A UUID of version 7 (RFC 9562 §5.7): milliseconds since 1970, then random bits."""
    tail = bytearray(entropy(10))
    tail[0] = 0x70 | tail[0] & 0x0F
    tail[2] = 0x80 | tail[2] & 0x3F
    return (wall_ms & (1 << 48) - 1).to_bytes(6, "big") + bytes(tail)


def uuid_text(raw: bytes) -> str:
    """The usual text form of 16 bytes; five times as fast as by way of uuid.UUID, and done for every put."""
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
