"""What persons are told about stations and events, as messages. Reads no store."""

from __future__ import annotations

from typing import Any, Literal

from cloud.fleet.liveness import Liveness
from cloud.fleet.trust import CertificateAlert
from protocol.messages import Answer, DeviceInfo, HeartbeatRequest, Location, NetworkInfo

Tone = Literal["running", "working", "waiting", "failed", "unknown"]


class MediaItem(Answer):
    """One file of an event; `stored` says whether the cloud has it yet. `size` in bytes."""

    sha256: str
    size: int
    mime: str
    name: str
    role: str
    stored: bool


class EventSummary(Answer):
    """One event in a list. `cursor` is what `before` takes; `timestamp` is the station's own text."""

    cursor: int
    event_id: str
    client_event_id: str
    revision: int
    received_ms: int
    timestamp: str
    event_type: str
    confidence: float | None
    status: str
    media: list[MediaItem]
    restated_ms: int | None
    """When it was by the cloud's clock, where nobody vouched for the station's."""


class EventDetail(EventSummary):
    """One event with everything the station said."""

    body: dict[str, Any]


class EventList(Answer):
    """Newest first. `next_before` is None on the last page."""

    events: list[EventSummary]
    next_before: int | None


class DeviceSummary(Answer, kw_only=True):
    """One station in a list. Times in ms since 1970; `online` is computed; backlog counts all priorities."""

    id: str
    name: str
    short_id: str
    status: str
    state: str | None
    tone: Tone
    online: bool
    last_seen_ms: int | None
    first_operational_ms: int | None
    liveness: Liveness
    backlog_count: int
    backlog_bytes: int
    last_event: EventSummary | None
    role: str | None = None
    """What the reader is to it; None in news, which go to several readers."""


class DeviceDetail(DeviceSummary, kw_only=True):
    """One station's page. `reported` is the last heartbeat, received at `last_seen_ms`."""

    created_ms: int
    hardware_id: str
    location: Location | None
    info: DeviceInfo | None
    network: NetworkInfo | None
    reported: HeartbeatRequest | None
    reported_ms: int | None
    config_version_desired: int
    config_version_reported: int
    config_error: str | None
    certificate_not_after_ms: int | None
    certificate_alert: CertificateAlert | None = None
    key_storage: Literal["tpm2", "se", "file"] | None = None
    """Where the station said at its claim that its key is; None where the claim is not known."""
    clone_ms: int | None = None
    """When two keys were last seen to talk from this station's machine; None while all is well."""


class DeviceList(Answer):
    """All stations of a person, by name."""

    devices: list[DeviceSummary]
    server_time: str
