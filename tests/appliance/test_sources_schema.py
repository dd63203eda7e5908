"""What camera programs may hand in, and how a refusal names the field."""

from __future__ import annotations

import json
import random
from importlib import import_module
from typing import Any

import msgspec
import pytest

from appliance.sources.errors import MEDIA_OUTSIDE, NOT_JSON, TOO_LARGE, WRONG_FIELD, SourceRefused
from appliance.sources.inside import relative
from appliance.sources.schema import (
    content_id,
    decode,
    json_schema,
    moment,
    utc_text,
    wanted_media,
)
from tests.appliance.sources_support import event_json

FULL: dict[str, Any] = {
    "schema": "meteor.event/1",
    "client_event_id": "cam:night:0001",
    "revision": 2,
    "event_type": "meteor_candidate",
    "status": "preliminary",
    "timestamp": "2026-08-12T22:14:03.250Z",
    "duration_ms": 818,
    "confidence": None,
    "source": {"adapter": "rms", "station": "XX0001", "version": "1", "night": "n"},
    "metadata": {"begin": {"x": 1.5}},
    "media_files": ["a.jpg"],
    "media": [{"name": "a.jpg", "role": "thumbnail", "mime": "image/jpeg", "size": 3, "path": "sub/a.jpg"}],
    "clock": {"synchronized": True, "offset_ms": 3},
    "priority": "low",
}


def test_the_short_and_the_full_shape_are_both_understood() -> None:
    assert decode(event_json()).device_id == "cam-north"
    assert decode(json.dumps(FULL).encode()).revision == 2
    assert decode(b"\xef\xbb\xbf" + event_json()).event_type == "meteor"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"timestamp": None}, "$.timestamp"),
    ({"event_type": None}, "$.event_type"),
    ({"timestamp": "2026-08-12T22:14:03"}, "$.timestamp"),
    ({"timestamp": "yesterday"}, "$.timestamp"),
    ({"timestamp": "0001-01-01T00:00:00+14:00"}, "$.timestamp"),
    ({"timestamp": 1786572843}, "$.timestamp"),
    ({"event_type": "Meteor!"}, "$.event_type"),
    ({"confidence": 1.5}, "$.confidence"),
    ({"confidance": 0.5}, "$.confidance"),
    ({"revision": 0}, "$.revision"),
    ({"metadata": [1]}, "$.metadata"),
    ({"media_files": "a.jpg"}, "$.media_files"),
    ({"media_files": ["a.jpg", 7]}, "$.media_files[1]"),
    ({"media_files": [f"{i}.jpg" for i in range(65)]}, "$.media_files"),
    ({"media": [{"name": "a/b.jpg"}]}, "$.media[0].name"),
    ({"media": [{"name": "a.jpg", "sha256": "xyz"}]}, "$.media[0].sha256"),
    ({"media": [{"name": "a.jpg", "colour": "red"}]}, "$.media[0].colour"),
    ({"source": {"station": "x"}}, "$.source.adapter"),
    ({"schema": "meteor.event/2"}, "$.schema"),
    ({"priority": "urgent"}, "$.priority"),
    ({"client_event_id": ""}, "$.client_event_id"),
    ({"client_event_id": "a\x00b"}, "$.client_event_id"),
    ({"media_files": ["folder/"]}, "$.media_files[0]"),
    ({"clock": {"synchronized": "yes"}}, "$.clock.synchronized"),
]


@pytest.mark.parametrize(("changes", "field"), REFUSED)
def test_a_refusal_names_the_field_and_a_remedy(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(SourceRefused) as refusal:
        decode(event_json(**changes))
    assert refusal.value.field == field
    assert refusal.value.code == WRONG_FIELD
    assert refusal.value.remedy.endswith(".")
    assert not refusal.value.incomplete


def test_a_text_cut_off_anywhere_is_taken_for_incomplete() -> None:
    whole = event_json(metadata={"name": "Süd"})
    for end in range(len(whole)):
        with pytest.raises(SourceRefused) as refusal:
            decode(whole[:end])
        assert (refusal.value.code, refusal.value.incomplete) == (NOT_JSON, True)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"[" * 100_000, WRONG_FIELD),
        (b"meteor at ten past ten", NOT_JSON),
        (b'{"metadata":' + b'{"a":' * 50_000, NOT_JSON),
        (b" " * (256 * 1024 + 1), TOO_LARGE),
        (event_json(metadata={"a": "x" * 70_000}), TOO_LARGE),
        (b"\xff\xfe", NOT_JSON),
        (b"[]", WRONG_FIELD),
        (b"null", WRONG_FIELD),
    ],
)
def test_what_is_too_deep_too_large_or_no_object_is_refused(text: bytes, code: str) -> None:
    with pytest.raises(SourceRefused) as refusal:
        decode(text)
    assert refusal.value.code == code


def test_a_thousand_damaged_events_are_understood_or_refused_and_nothing_else() -> None:
    chance = random.Random(20260812)
    whole = bytearray(json.dumps(FULL).encode())
    understood = 0
    for _ in range(1000):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            msgspec.json.encode(decode(bytes(damaged)))
            understood += 1
        except SourceRefused:
            pass
    assert 0 < understood < 1000


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-08-12T22:14:03Z", "2026-08-12T22:14:03.000Z"),
        ("2026-08-13T00:14:03.25+02:00", "2026-08-12T22:14:03.250Z"),
        ("2026-08-12T22:14:03.123456Z", "2026-08-12T22:14:03.123456Z"),
    ],
)
def test_any_zone_becomes_utc_without_losing_precision(text: str, utc: str) -> None:
    assert utc_text(moment(decode(event_json(timestamp=text)))) == utc


def test_a_file_that_is_named_twice_is_wanted_once() -> None:
    observation = decode(
        event_json(
            media_files=["a.jpg", "b.jpg", "sub/c.mp4", "b.jpg"],
            media=[{"name": "a.jpg", "role": "thumbnail", "path": "sub/a.jpg"}],
        )
    )
    assert [(w.location, w.media.name, w.media.role, w.field) for w in wanted_media(observation)] == [
        ("sub/a.jpg", "a.jpg", "thumbnail", "$.media[0]"),
        ("b.jpg", "b.jpg", "media", "$.media_files[1]"),
        ("sub/c.mp4", "c.mp4", "media", "$.media_files[2]"),
    ]


@pytest.mark.parametrize("location", ["../x.jpg", "a/../../x.jpg", "/etc/passwd", "..", "a/.."])
def test_a_path_that_leads_out_of_the_spool_is_refused(tmp_path: Any, location: str) -> None:
    with pytest.raises(SourceRefused) as refusal:
        relative(tmp_path, location, "$.media[0]")
    assert (refusal.value.code, refusal.value.field) == (MEDIA_OUTSIDE, "$.media[0]")


def test_the_name_made_from_the_content_depends_on_the_content_only() -> None:
    hashes = [("a.jpg", "0" * 64), ("b.jpg", "1" * 64)]
    first = content_id(decode(event_json()), hashes)
    reordered = json.dumps(dict(reversed(json.loads(event_json()).items()))).encode()
    assert content_id(decode(reordered), reversed(hashes)) == first
    assert content_id(decode(event_json(priority="low", media_files=["a.jpg"])), hashes) == first
    assert content_id(decode(event_json(confidence=0.8)), hashes) != first
    assert content_id(decode(event_json()), hashes[:1]) != first


def test_the_published_schema_accepts_and_refuses_the_same() -> None:
    jsonschema = import_module("jsonschema")  # comes without types
    validator = jsonschema.Draft202012Validator(json_schema())
    validator.check_schema(json_schema())
    validator.validate(FULL)
    validator.validate(json.loads(event_json()))
    # What a schema cannot say is left to the station.
    unsayable = {"$.metadata", "$.media_files[0]"}
    for changes, field in REFUSED:
        judged_by_schema = field not in unsayable and not isinstance(changes.get("timestamp"), str)
        if judged_by_schema:
            assert not validator.is_valid(json.loads(event_json(**changes))), changes
