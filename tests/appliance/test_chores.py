"""The buffer's chores as the station wires them: storage rules, and notes about what was lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from appliance.chores import damage_alert, gap_note, media_rules
from appliance.configuration.apply import Configuration
from appliance.settings import Settings, load
from appliance.uplink.time import CloudTime
from buffer.gaps import Gap
from buffer.message import Priority
from buffer.rescue import Incident
from firmware.fakes import FakeClock


def test_the_station_s_own_limit_is_the_hard_one(tmp_path: Path) -> None:
    configuration = Configuration(tmp_path)
    small = load(None, {}, {"buffer.max_media_bytes": 2_000_000_000})
    rules = media_rules(small, configuration)
    assert (rules.max_storage_gb, rules.hard_storage_gb) == (2.0, 2.0)
    roomy = media_rules(load(None, {}, {"buffer.max_media_bytes": 20_000_000_000}), configuration)
    assert (roomy.max_storage_gb, roomy.hard_storage_gb) == (8.0, 20.0), "the owner's wish counts below it"
    assert Settings().buffer.max_media_bytes > 0


def test_a_gap_is_a_critical_note_that_says_how_much_is_missing() -> None:
    gap = Gap("evicted", Priority.LOW, 5, 9, 4, 1200, datetime(2026, 1, 1, tzinfo=UTC))
    draft = gap_note(CloudTime(FakeClock()), [gap])
    event = json.loads(draft.payload)
    assert (draft.kind, draft.priority) == ("event", Priority.CRITICAL)
    assert event["event_type"] == "station_gap"
    assert event["metadata"]["gaps"] == [{"reason": "evicted", "priority": "low", "count": 4, "bytes": 1200}]
    assert draft.idempotency_key == "station:gap:5:9", "told twice, it is stored once"


def test_a_damaged_buffer_is_a_critical_note_with_its_reason() -> None:
    incident = Incident("not a database", Path("quarantine/2"), 17, None)
    draft = damage_alert(CloudTime(FakeClock()))(incident)
    event = json.loads(draft.payload)
    assert event["event_type"] == "station_buffer_damaged"
    assert event["metadata"] == {"reason": "not a database", "recovered": 17, "lost": None}
    assert draft.priority is Priority.CRITICAL
