"""What camera programs may hand in, read and checked. Pure: no files are touched and nothing is stored.

It is wider than what is sent to the cloud: the short shape `{device_id, timestamp, event_type, confidence,
metadata, media_files}` is enough, and so is everything of `meteor.event/1`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from appliance.sources.errors import NOT_JSON, TOO_LARGE, WRONG_FIELD, SourceRefused
from protocol.clock import parse, to_text
from protocol.event import EventSource, EventType, FileName, Mime
from protocol.limits import (
    MAX_EVENT_BYTES,
    MAX_JSON_BYTES,
    MAX_MEDIA_BYTES,
    MAX_MEDIA_PER_EVENT,
    MAX_NESTING,
)
from protocol.nesting import too_deep

PriorityName = Literal["critical", "high", "normal", "low"]
Location = Annotated[str, Meta(min_length=1, max_length=1024, pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)")]
ClientEventId = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)")]


class _Input(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base: a mistyped field is named instead of lost."""


class SourceMedia(_Input, frozen=True):
    """One file of the event.

    `path` (default: `name`) is relative to the spool, or absolute inside it; for files sent along it is the
    file's name. With `sha256` or `size` (bytes) the file is checked.
    """

    name: FileName
    role: Annotated[str, Meta(min_length=1, max_length=200)] = "media"
    mime: Mime | None = None
    sha256: Annotated[str, Meta(max_length=64, pattern=r"^[0-9a-f]{64}$")] | None = None
    size: Annotated[int, Meta(ge=0, le=MAX_MEDIA_BYTES)] | None = None
    path: Location | None = None


class SourceClock(_Input, frozen=True):
    """What the camera program knows of its clock; the error in milliseconds."""

    synchronized: bool | None = None
    offset_ms: float | None = None


class Observation(_Input, frozen=True):
    """One event as a camera program tells it.

    `timestamp` is when it began: RFC 3339 with a zone. `client_event_id` with `revision` names the event; a
    repetition is a duplicate. Without it a name is made from the content. `priority` overrides the usual one
    (high; critical for an `alert`). `device_id` is the program's own name for its camera.
    """

    timestamp: Annotated[str, Meta(max_length=200)]
    event_type: EventType
    schema: Literal["meteor.event/1"] = "meteor.event/1"
    client_event_id: ClientEventId | None = None
    revision: Annotated[int, Meta(ge=1, le=2**31 - 1)] = 1
    status: Literal["preliminary", "confirmed", "withdrawn"] = "confirmed"
    duration_ms: Annotated[float, Meta(ge=0)] | None = None
    confidence: Annotated[float, Meta(ge=0, le=1)] | None = None
    source: EventSource | None = None
    metadata: dict[str, Any] = {}
    media_files: Annotated[tuple[Location, ...], Meta(max_length=MAX_MEDIA_PER_EVENT)] = ()
    media: Annotated[tuple[SourceMedia, ...], Meta(max_length=MAX_MEDIA_PER_EVENT)] = ()
    clock: SourceClock | None = None
    device_id: Annotated[str, Meta(max_length=200)] | None = None
    priority: PriorityName | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that an observation names; `field` is where it names it."""

    location: str
    media: SourceMedia
    field: str


def decode(data: bytes) -> Observation:
    """The observation in JSON text. Raises `SourceRefused` naming the field and the remedy."""
    if len(data) > MAX_JSON_BYTES:
        raise SourceRefused(
            TOO_LARGE,
            f"The event has {len(data)} bytes; at most {MAX_JSON_BYTES} are read.",
            "Hand large data in as media files.",
        )
    try:
        observation = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"), type=Observation)
    except msgspec.ValidationError as error:
        raise _wrong_field(str(error)) from None
    except RecursionError:
        raise SourceRefused(NOT_JSON, "The event is nested too deeply.", "Make it flatter.") from None
    except (msgspec.DecodeError, ValueError) as error:  # ValueError: broken UTF-8, or a number without end
        raise SourceRefused(
            NOT_JSON,
            f"This is not complete, valid JSON ({error}).",
            "Write the file under a .tmp name first and rename it when it is complete.",
            incomplete=True,
        ) from None
    check(observation)
    return observation


def check(observation: Observation) -> None:
    """What types cannot say. Raises `SourceRefused`."""
    moment(observation)
    if too_deep(observation.metadata):
        raise SourceRefused(
            WRONG_FIELD,
            f"The metadata have lists and objects in each other more than {MAX_NESTING} times.",
            "Make them flatter.",
            field="$.metadata",
        )
    size = len(msgspec.json.encode(observation))
    if size > MAX_EVENT_BYTES:
        raise SourceRefused(
            TOO_LARGE,
            f"The event has {size} bytes; at most {MAX_EVENT_BYTES} fit.",
            "Hand large data in as media files.",
            field="$.metadata",
        )
    if len(wanted_media(observation)) > MAX_MEDIA_PER_EVENT:
        raise SourceRefused(
            WRONG_FIELD,
            f"The event names more than {MAX_MEDIA_PER_EVENT} files.",
            "Split it, or pack the files.",
            field="$.media_files",
        )


_REMEDIES = (
    ("missing required field", "Add it."),
    ("unknown field", "Remove it, or put it under metadata."),
    ("`meteor.event/1`", "Write meteor.event/1, or leave it away."),
)


def _wrong_field(text: str) -> SourceRefused:
    sentence, _, where = text.partition(" - at ")
    path = where.strip("`") or "$"
    if name := re.search(r"field `([^`]*)`", sentence):
        path = f"{path}.{name[1]}"
    remedy = next((remedy for mark, remedy in _REMEDIES if mark in sentence), "Correct this field.")
    return SourceRefused(WRONG_FIELD, f"{sentence}.", remedy, field=path)


def moment(observation: Observation) -> datetime:
    """When it began, in UTC. Raises `SourceRefused` for a time without a zone: local time is ambiguous."""
    try:
        return parse(observation.timestamp.replace("z", "Z").strip())
    except (ValueError, OverflowError) as error:
        raise SourceRefused(
            WRONG_FIELD,
            f"{observation.timestamp[:60]!r} is not a time that can be used ({error}).",
            "Write RFC 3339 in UTC, like 2026-08-12T22:14:03.250Z.",
            field="$.timestamp",
        ) from None


def utc_text(instant: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, or microseconds where there are any."""
    utc = instant.astimezone(UTC)
    if utc.microsecond % 1000 == 0:
        return to_text(utc)
    return utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def wanted_media(observation: Observation) -> list[Wanted]:
    """The files it names, each once: `media` first, then those that only `media_files` has."""
    found = [
        Wanted(media.path or media.name, media, f"$.media[{index}]")
        for index, media in enumerate(observation.media)
    ]
    named = {name for wanted in found for name in (wanted.location, wanted.media.name)}
    for index, location in enumerate(observation.media_files):
        if location not in named:
            named.add(location)
            field = f"$.media_files[{index}]"
            found.append(Wanted(location, SourceMedia(name=_file_name(location, field)), field))
    return found


def _file_name(location: str, field: str) -> str:
    name = location.rpartition("/")[2]
    if not 1 <= len(name) <= 200:
        raise SourceRefused(WRONG_FIELD, "This is not the name of a file.", "Name a file.", field=field)
    return name


def content_id(observation: Observation, hashes: Iterable[tuple[str, str]]) -> str:
    """A name made from the content, equal for a repetition; `hashes` are (name, SHA-256) of the files."""
    told = msgspec.structs.replace(observation, client_event_id=None, priority=None, media_files=(), media=())
    digest = hashlib.sha256(msgspec.json.encode((told, sorted(hashes)), order="sorted"))
    return f"content:{digest.hexdigest()[:40]}"


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of what may be handed in, made from the types above."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An event handed in by a camera program",
        **msgspec.json.schema(Observation),
    }
