"""Making the event that is sent to the cloud out of an observation. Pure: the time comes from a port."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec
from msgspec import to_builtins

from appliance.sources.errors import TOO_LARGE, SourceRefused
from appliance.sources.schema import Observation, content_id, moment, utc_text
from buffer.message import MediaRef, Priority
from protocol.event import Event, EventSource, Media
from protocol.limits import MAX_EVENT_BYTES
from protocol.messages import Clock


class BootName(Protocol):
    """What names the start of this machine."""

    @property
    def boot_id(self) -> str:
        """The same for all readings of one boot."""


class StationTime(Protocol):
    """What the station knows of the time."""

    @property
    def system(self) -> BootName:
        """The machine's own clock."""

    def report(self) -> Clock:
        """The clock's quality now, with the milliseconds since boot."""


def priority_of(observation: Observation) -> Priority:
    """High, critical for an alert, or what the program asks for."""
    if observation.priority is not None:
        return Priority[observation.priority.upper()]
    return Priority.CRITICAL if observation.event_type == "alert" else Priority.HIGH


def build_event(
    observation: Observation, files: list[MediaRef], adapter: str, time: StationTime, wall: float
) -> Event:
    """What is sent to the cloud: the observation, its files by hash, and the station's clock.

    `wall` is the clock that camera programs see, in seconds since 1970.
    """
    began = moment(observation)
    name = observation.client_event_id or content_id(
        observation, [(file.name, file.sha256) for file in files]
    )
    clock, media = time.report(), [Media(**asdict(file)) for file in files]
    return Event(
        event_id=event_id(name, observation.revision, began),
        client_event_id=name,
        event_type=observation.event_type,
        timestamp=utc_text(began),
        revision=observation.revision,
        status=observation.status,
        duration_ms=observation.duration_ms,
        confidence=observation.confidence,
        source=observation.source or EventSource(adapter=adapter, station=observation.device_id),
        metadata=_metadata(observation),
        media_files=[file.reference() for file in media],
        media=media,
        clock=clock,
        boot_id=time.system.boot_id,
        mono_ns=mono_ns(began, wall, clock.mono_ms),
    )


def encode_event(event: Event) -> bytes:
    """The exact bytes that are stored and sent. Raises `SourceRefused` when they are too many."""
    payload = msgspec.json.encode(event)
    if len(payload) > MAX_EVENT_BYTES:
        raise SourceRefused(
            TOO_LARGE,
            f"The event with its list of files has {len(payload)} bytes; at most {MAX_EVENT_BYTES} fit.",
            "Hand large data in as media files, and fewer of them.",
        )
    return payload


def _metadata(observation: Observation) -> dict[str, Any]:
    if observation.clock is None:
        return observation.metadata
    return {"source_clock": to_builtins(observation.clock)} | observation.metadata


def event_id(name: str, revision: int, began: datetime) -> str:
    """A UUID version 7 (RFC 9562 §5.7) whose 74 free bits come from the name, not from chance.

    So a repetition is answered with the id of the first, even after the buffer has forgotten it.
    """
    digest = int.from_bytes(hashlib.sha256(f"{revision}:{name}".encode()).digest()[:10], "big")
    milliseconds = max(0, int(began.timestamp() * 1000)) & ((1 << 48) - 1)
    low, high = digest & ((1 << 62) - 1), digest >> 62 & 0xFFF
    return str(UUID(int=milliseconds << 80 | 7 << 76 | high << 64 | 0b10 << 62 | low))


def mono_ns(began: datetime, wall: float, mono_ms: int) -> int | None:
    """Nanoseconds from this boot to the event; None when it began before this boot.

    `wall` must be the clock that stamped the event: where it is wrong, it is wrong by the same amount in
    both, and the cloud can restate the time once it knows the truth about this boot.
    """
    ago = max(0.0, wall - began.timestamp())
    since_boot = mono_ms * 1_000_000 - round(ago * 1e9)
    return since_boot if since_boot >= 0 else None
