"""What the buffer's upkeep needs of the station: the owner's storage rules, and notes about what was lost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import msgspec

from appliance.configuration.apply import Configuration
from appliance.settings import Settings
from appliance.sources.accept import KIND
from appliance.sources.build import build_event
from appliance.sources.schema import Observation
from appliance.uplink.time import CloudTime
from buffer.gaps import Gap
from buffer.media import MediaStore
from buffer.message import Draft, Priority
from buffer.rescue import Incident
from buffer.retention import MediaRules
from buffer.store import Store
from buffer.upkeep import Upkeep
from protocol.clock import to_text

log = logging.getLogger(__name__)

_GB = 1e9


def upkeep(
    settings: Settings,
    configuration: Configuration,
    store: Store,
    media: MediaStore,
    time: CloudTime,
    extras: Callable[[], bool] = lambda: True,
) -> Upkeep:
    """The buffer's chores, by the owner's rules and inside the limits of this station.

    `extras` tells whether there is disk and power for work that only makes things nicer.
    """
    return Upkeep(
        store,
        media,
        lambda: media_rules(settings, configuration, extras=extras()),
        clock_trusted=lambda: time.system.quality().synchronized,
        report=lambda gaps: gap_note(time, gaps),
    )


def media_rules(settings: Settings, configuration: Configuration, *, extras: bool = True) -> MediaRules:
    """The owner's wishes from the cloud; the station's own `buffer.max_media_bytes` is the hard limit."""
    wished, hard = configuration.current.storage, settings.buffer.max_media_bytes / _GB
    return MediaRules(
        max_storage_gb=min(wished.max_storage_gb, hard),
        hard_storage_gb=hard,
        retention_days=wished.retention_days,
        auto_cleanup=wished.auto_cleanup,
        pack=wished.compression_enabled and extras,
    )


def damage_alert(time: CloudTime) -> Callable[[Incident], Draft]:
    """Makes the note about a damaged buffer that the owner reads in the cloud."""

    def alert(incident: Incident) -> Draft:
        log.error("the buffer was damaged: %s; %d messages are back", incident.reason, incident.recovered)
        details = {"reason": incident.reason, "recovered": incident.recovered, "lost": incident.lost}
        return _note(time, "buffer_damaged", incident.folder.name, details)

    return alert


def gap_note(time: CloudTime, gaps: Sequence[Gap]) -> Draft:
    """What the buffer had to give up, so that the owner knows exactly what is missing."""
    rows = [
        {"reason": gap.reason, "priority": gap.priority.name.lower(), "count": gap.count, "bytes": gap.bytes}
        for gap in gaps
    ]
    return _note(time, "gap", f"{gaps[0].first_id}:{gaps[-1].last_id}", {"gaps": rows})


def _note(time: CloudTime, what: str, key: str, details: dict[str, object]) -> Draft:
    observation = Observation(
        event_type=f"station_{what}",
        timestamp=to_text(time.moment()),
        client_event_id=f"station:{what}:{key}",
        metadata=details,
    )
    event = build_event(observation, [], "station", time, time.system.wall())
    return Draft(
        kind=KIND,
        payload=msgspec.json.encode(event),
        priority=Priority.CRITICAL,
        idempotency_key=event.client_event_id,
        revision=event.revision,
    )
