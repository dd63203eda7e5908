"""An event and its media as they travel from station to cloud. What camera programs hand in is wider."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from protocol.limits import (
    MAX_BATCH_EVENTS,
    MAX_KEPT_QUESTIONS,
    MAX_MEDIA_BYTES,
    MAX_MEDIA_PER_EVENT,
)
from protocol.messages import Answer, Clock, Request, Text

Sha256 = Annotated[str, Meta(max_length=64, pattern=r"^[0-9a-f]{64}$")]
Mime = Annotated[
    str, Meta(pattern=r"^[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,60}$(?!\n)")
]
FileName = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^/\x00-\x1f\x7f]+$(?!\n)")]
EventId = Annotated[
    str,
    Meta(max_length=36, pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"),
]
EventType = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$(?!\n)")]


class EventSource(Request):
    """Which program and which camera station saw it."""

    adapter: Text
    station: Text | None = None
    version: Text | None = None
    night: Text | None = None


class Media(Request):
    """One file of an event. Its hash is its identity; `size` in bytes."""

    name: FileName
    mime: Mime
    sha256: Sha256
    size: Annotated[int, Meta(ge=0, le=MAX_MEDIA_BYTES)]
    role: Text = "media"

    def reference(self) -> str:
        """The short form in `media_files`."""
        return f"sha256:{self.sha256}:{self.size}:{self.mime}"


class Event(Request):
    """One observation. `timestamp` is when it began, in UTC; `(client_event_id, revision)` is its identity.

    `event_id` (UUIDv7) is made and stored by the station before the first attempt to send.
    `mono_ns` counts from the boot named by `boot_id`, so that the cloud can restate a time that was wrong.
    """

    event_id: EventId
    client_event_id: Annotated[str, Meta(min_length=1, max_length=200)]
    event_type: EventType
    timestamp: Text
    schema: Literal["meteor.event/1"] = "meteor.event/1"
    revision: Annotated[int, Meta(ge=1, le=2**31 - 1)] = 1
    status: Literal["preliminary", "confirmed", "withdrawn"] = "confirmed"
    duration_ms: Annotated[float, Meta(ge=0)] | None = None
    confidence: Annotated[float, Meta(ge=0, le=1)] | None = None
    source: EventSource | None = None
    metadata: dict[str, Any] = {}
    media_files: Annotated[list[Text], Meta(max_length=MAX_MEDIA_PER_EVENT)] = []
    media: Annotated[list[Media], Meta(max_length=MAX_MEDIA_PER_EVENT)] = []
    clock: Clock | None = None
    boot_id: Text | None = None
    mono_ns: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    device_seq: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    device_id: Text | None = None


class EventBatch(Request):
    """Several events in one request; each is kept as its exact bytes, because those are what is hashed."""

    events: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=MAX_BATCH_EVENTS)]


class PendingMedia(Answer):
    """A file that the cloud does not have yet."""

    sha256: str
    size: int
    upload_url: str


class EventAnswer(Answer):
    """The answer for one event. `duplicate` says that the same observation was here before, under the id
    `kept_as` when that is another one."""

    event_id: str
    status: Literal["received", "rejected"]
    processing_started: bool = True
    duplicate: bool = False
    kept_as: str | None = None
    media_pending: list[PendingMedia] = []
    code: str | None = None
    reason: str | None = None
    detail: str | None = None


class BatchAnswer(Answer):
    """One answer per event, in the order of the request."""

    results: list[EventAnswer]


class KeptRequest(Request):
    """POST /devices/:id/events/kept: which of these, that got a yes before, are still there?"""

    events: Annotated[list[EventId], Meta(max_length=MAX_KEPT_QUESTIONS)] = []
    media: Annotated[list[Sha256], Meta(max_length=MAX_KEPT_QUESTIONS)] = []


class KeptAnswer(Answer):
    """What is not there, and has to be sent again."""

    missing_events: list[str] = []
    missing_media: list[str] = []


_REFERENCE = re.compile(r"sha256:([0-9a-f]{64}):([0-9]{1,12}):(.+)")


def parse_reference(text: str) -> tuple[str, int, str] | None:
    """(sha256, bytes, mime) of a `media_files` entry, or None for a plain file name."""
    match = _REFERENCE.fullmatch(text)
    return (match[1], int(match[2]), match[3]) if match else None
