"""The words of the buffer: priorities, drafts, messages, receipts and the numbers that name them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from buffer.errors import InvalidDraft

_PRIORITY_SHIFT = 60
_LANE_SHIFT = 59
_BOOT_SHIFT = 36
_SEQUENCE_MASK = (1 << _BOOT_SHIFT) - 1
_BOOT_MASK = (1 << (_LANE_SHIFT - _BOOT_SHIFT)) - 1
_MAX_REVISION = 2**31 - 1
_MAX_TEXT = 1024


class Priority(IntEnum):
    """How urgent a message is; the smaller number goes first."""

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3


class Lane(IntEnum):
    """Which of two drains takes a message: what is small goes past what takes long."""

    EXPRESS = 0
    BULK = 1


@dataclass(frozen=True, slots=True)
class MediaRef:
    """One media file that belongs to a message; `size` in bytes, `sha256` in lower-case hex."""

    sha256: str
    size: int
    mime: str
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What a producer hands in.

    `idempotency_key` with `revision` names the content: the same pair is stored once. `expires_in` is in
    seconds of powered-on time; a Critical message never expires and ignores it. `lane` is BULK for what
    stands for a large transfer.
    Raises InvalidDraft for a field that could never be stored.
    """

    kind: str
    payload: bytes
    priority: Priority
    content_type: str = "application/json"
    idempotency_key: str | None = None
    revision: int = 1
    expires_in: float | None = None
    media: tuple[MediaRef, ...] = ()
    lane: Lane = Lane.EXPRESS

    def __post_init__(self) -> None:
        _check_text("kind", self.kind)
        _check_text("content_type", self.content_type)
        if self.idempotency_key is not None:
            _check_text("idempotency_key", self.idempotency_key)
        if not 1 <= self.revision <= _MAX_REVISION:
            raise InvalidDraft(f"The revision {self.revision} is not between 1 and {_MAX_REVISION}.")
        if self.expires_in is not None and not (math.isfinite(self.expires_in) and self.expires_in > 0):
            raise InvalidDraft(f"expires_in is {self.expires_in}, not a positive number of seconds.")
        for ref in self.media:
            _check_text("media name", ref.name)
            _check_text("media type", ref.mime)
            _check_text("media role", ref.role)


@dataclass(frozen=True, slots=True)
class Message:
    """What the buffer hands out.

    `id` orders and names the message on this station; `uuid` (version 7) names it in the world.
    `enqueued_at` is wall time, corrected afterwards when `clock_trusted`; `expires_at` is the same clock and
    for display only. `boottime_ms` counts from the start of the run's boot. `boot` numbers the runs.
    """

    id: int
    uuid: str
    kind: str
    priority: Priority
    payload: bytes
    content_type: str
    idempotency_key: str | None
    revision: int
    enqueued_at: datetime
    clock_trusted: bool
    boot: int
    boottime_ms: int
    retry_count: int
    expires_at: datetime | None
    media: tuple[MediaRef, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """The yes of the buffer: the message is on the disk. For a duplicate, the ids are the first one's."""

    id: int
    uuid: str
    duplicate: bool


def compose_id(priority: Priority, boot: int, sequence: int, lane: Lane = Lane.EXPRESS) -> int:
    """The row id: urgent before patient, then the lane, then the older run, then the order of arrival."""
    if not (0 < boot <= _BOOT_MASK and 0 <= sequence <= _SEQUENCE_MASK):
        raise OverflowError(f"boot {boot} or sequence {sequence} does not fit into a message id")
    return priority << _PRIORITY_SHIFT | lane << _LANE_SHIFT | boot << _BOOT_SHIFT | sequence


def priority_of(message_id: int) -> Priority:
    """The priority inside a message id."""
    return Priority(message_id >> _PRIORITY_SHIFT)


def boot_of(message_id: int) -> int:
    """The number of the run inside a message id."""
    return message_id >> _BOOT_SHIFT & _BOOT_MASK


def order_of(message_id: int) -> int:
    """A number that only grows from message to message, whatever their priorities and lanes."""
    return message_id & ((1 << _LANE_SHIFT) - 1)


def id_range(priority: Priority, lane: Lane | None = None) -> tuple[int, int]:
    """The first id of a priority, or of one lane of it, and the first id after it."""
    first = priority << _PRIORITY_SHIFT
    if lane is None:
        return first, (priority + 1) << _PRIORITY_SHIFT
    return first | lane << _LANE_SHIFT, first + ((lane + 1) << _LANE_SHIFT)


def _check_text(field: str, value: str) -> None:
    if not 0 < len(value) <= _MAX_TEXT:
        raise InvalidDraft(f"The {field} must have 1 to {_MAX_TEXT} characters, it has {len(value)}.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidDraft(f"The {field} is not valid Unicode text.") from None
