"""Messages, errors, limits and time: unknown and wrong fields are named, answers may grow, buckets refill."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import clock, errors, limits
from protocol.event import Event, Media, parse_reference
from protocol.messages import ClaimStatus, HeartbeatRequest, InitiateRequest, Location

EVENT = {
    "event_id": "01890a5d-ac96-774b-bcce-b302099a8057",
    "client_event_id": "rms:XX0001:1",
    "event_type": "meteor",
    "timestamp": "2026-01-01T00:00:00.000Z",
}

MEDIA = {"name": "a.jpg", "mime": "image/jpeg", "sha256": "0" * 64, "size": 1}


@pytest.mark.parametrize(
    ("kind", "body", "named"),
    [
        (InitiateRequest, {"pni": "123456"}, "pni"),
        (InitiateRequest, {"location": {"latitude": 91, "longitude": 0}}, "$.location.latitude"),
        (Location, {"latitude": 1}, "longitude"),
        (HeartbeatRequest, {"uptime": -1, "boot_id": "b", "seq": 1, "state": "operational"}, "$.uptime"),
        (Event, EVENT | {"confidence": 2}, "$.confidence"),
        (Event, EVENT | {"event_id": "x"}, "$.event_id"),
        (Event, EVENT | {"media": [MEDIA | {"name": "../a"}]}, "$.media[0].name"),
        (Event, EVENT | {"surprise": 1}, "surprise"),
    ],
)  # fmt: skip
def test_a_wrong_field_of_a_request_is_named(kind: type[msgspec.Struct], body: object, named: str) -> None:
    with pytest.raises(
        msgspec.ValidationError, match=named.replace("$", r"\$").replace("[0]", r"\[(0|\.\.\.)\]")
    ):
        msgspec.json.decode(msgspec.json.encode(body), type=kind)


def test_an_answer_may_have_fields_of_a_newer_cloud() -> None:
    body = {"claim_id": "c", "status": "pending", "progress": 1, "expires_at": "", "interval": 5}
    newer = msgspec.json.encode(body | {"server_time": "", "invented_later": 1})
    assert msgspec.json.decode(newer, type=ClaimStatus).status == "pending"


def test_a_media_reference_carries_hash_size_and_type() -> None:
    media = Media(name="a.jpg", mime="image/jpeg", sha256="0" * 64, size=7)
    assert parse_reference(media.reference()) == ("0" * 64, 7, "image/jpeg")
    assert parse_reference("a.jpg") is None


@pytest.mark.parametrize("code", [f"REG-{number:03d}" for number in range(1, 11)])
def test_every_code_has_a_status_and_both_actions(code: str) -> None:
    entry = errors.CODES[code]
    problem = errors.Refusal(code, "reason", "detail").problem(server_time="t", correlation_id="c")
    assert (problem.status, problem.code, problem.title) == (entry.status, code, entry.title)
    assert entry.user_action and entry.system_action


def test_what_is_missing_and_what_is_foreign_look_the_same() -> None:
    one, other = (errors.not_found().problem(server_time="t", correlation_id="c") for _ in range(2))
    assert one == other
    assert one.status == 404


def test_a_bucket_grants_its_burst_then_its_rate() -> None:
    rate = limits.Rate(120, 3600, 3)
    bucket: limits.Bucket | None = None
    for _ in range(3):
        bucket, wait = limits.take(bucket, rate, 100.0)
        assert wait == 0
    bucket, wait = limits.take(bucket, rate, 100.0)
    assert wait == pytest.approx(30)
    bucket, wait = limits.take(bucket, rate, 130.1)
    assert wait == 0


@given(st.lists(st.floats(0, 50), max_size=100))
def test_a_bucket_never_grants_more_than_burst_plus_rate(pauses: list[float]) -> None:
    rate, bucket, now, granted = limits.Rate(1, 10, 5), None, 0.0, 0
    for pause in pauses:
        now += pause
        bucket, wait = limits.take(bucket, rate, now)
        granted += wait == 0
    assert granted <= 5 + now / 10 + 1e-6


def test_time_text_needs_a_zone() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    assert clock.to_text(moment) == "2026-01-02T03:04:05.678Z"
    assert clock.parse("2026-01-02T05:04:05.678+02:00") == moment
    with pytest.raises(ValueError, match="zone"):
        clock.parse("2026-01-02T03:04:05")


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_outside_the_calendar_is_refused_like_any_other(text: str) -> None:
    with pytest.raises(ValueError, match="years"):
        clock.parse(text)


def test_an_offset_survives_a_jumping_wall_clock() -> None:
    offset = clock.learn(server_unix=1_000_000.0, sent_mono=10.0, received_mono=12.0)
    assert offset.now(11.0) == 1_000_000.0
    assert offset.now(111.0) == 1_000_100.0
    assert offset.error_s == 1.0
