"""An event of one station as another station can take it: the same observation, the same name. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from appliance.sources.schema import Observation, SourceMedia
from buffer.message import Priority
from protocol.event import Event, Media

OWN_NOTES = "station_"
"""Events that a station tells about itself begin so; from another station they would be untrue."""


def observation_of(payload: bytes, priority: Priority, places: Mapping[str, str]) -> bytes | None:
    """JSON for the spool, or None for what is no observation of a camera program.

    `places` says by hash where the files lie, relative to the spool; a file without a place is left out,
    which changes neither the name nor the id of the event.
    """
    try:
        event = msgspec.json.decode(payload, type=Event)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if event.event_type.startswith(OWN_NOTES):
        return None
    observation = Observation(
        timestamp=event.timestamp,
        event_type=event.event_type,
        client_event_id=event.client_event_id,
        revision=event.revision,
        status=event.status,
        duration_ms=event.duration_ms,
        confidence=event.confidence,
        source=event.source,
        metadata=event.metadata,
        media=tuple(_file(media, places[media.sha256]) for media in event.media if media.sha256 in places),
        priority=priority.name.lower(),  # type: ignore[arg-type]
    )
    return msgspec.json.format(msgspec.json.encode(observation), indent=2)


def _file(media: Media, place: str) -> SourceMedia:
    return SourceMedia(
        name=media.name, role=media.role, mime=media.mime, sha256=media.sha256, size=media.size, path=place
    )
