"""Dead, wedged, uploading, stuck, wrong clock: told apart by what the station says of its progress."""

from __future__ import annotations

from typing import Any

import pytest

from cloud.dashboard.station_view import facts
from cloud.fleet.liveness import STUCK_S, Liveness, liveness
from protocol.messages import Backlog, BufferState, CameraStatus, Clock, Degradation, HeartbeatRequest

OLD = Backlog(count=300, bytes=10**6, oldest_s=8 * 3600.0)
YOUNG = Backlog(count=3, bytes=10**4, oldest_s=STUCK_S)
WRONG_CLOCK = Clock(synced=False, source="floor", utc="2020-01-01T00:00:00Z", mono_ms=1)


def heard(**values: Any) -> HeartbeatRequest:
    return HeartbeatRequest(uptime=1.0, boot_id="b", seq=1, state="operational", **values)


def buffered(**values: Any) -> HeartbeatRequest:
    return heard(buffer=BufferState(**values))


TABLE: list[tuple[str, HeartbeatRequest | None, bool, Liveness]] = [
    ("never heard", None, True, "silent"),
    ("offline", buffered(high=OLD, uploading=True), False, "silent"),
    ("well", heard(), True, "well"),
    ("a camera that fails", heard(camera_status=CameraStatus(error="no frames")), True, "source"),
    ("a camera that is away", heard(camera_status=CameraStatus(connected=False)), True, "source"),
    ("a long backfill", buffered(high=OLD, uploading=True), True, "uploading"),
    ("a backlog that gets older", buffered(high=OLD), True, "stuck"),
    ("a backlog of little urgency", buffered(low=OLD), True, "stuck"),
    ("between two windows", buffered(normal=YOUNG), True, "well"),
    ("an open breaker", buffered(high=OLD, breaker="open"), True, "paused"),
    ("a breaker that probes", buffered(high=OLD, breaker="half-open"), True, "paused"),
    ("local only", heard(degradation=Degradation(level=3), buffer=BufferState(high=OLD)), True, "paused"),
    ("a wrong clock", heard(clock=WRONG_CLOCK), True, "clock"),
    (
        "a wrong clock and a backfill",
        heard(clock=WRONG_CLOCK, buffer=BufferState(high=OLD, uploading=True)),
        True,
        "uploading",
    ),
]


@pytest.mark.parametrize(
    ("reported", "online", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_what_a_station_is_about(reported: HeartbeatRequest | None, online: bool, expected: Liveness) -> None:
    assert liveness(reported, online=online) == expected


@pytest.mark.parametrize("hours", [1, 10, 1000])
def test_a_backfill_is_never_stuck_however_long_it_takes(hours: int) -> None:
    waiting = Backlog(count=10**6, bytes=10**12, oldest_s=hours * 3600.0)
    assert liveness(buffered(normal=waiting, uploading=True), online=True) == "uploading"


@pytest.mark.parametrize(
    ("reported", "tone", "label"),
    [
        (buffered(), "running", "Sending"),
        (buffered(high=OLD, uploading=True), "working", "Uploading what waited"),
        (buffered(high=OLD), "failed", "Stuck: nothing gets through"),
        (buffered(high=OLD, breaker="open"), "failed", "Paused after failures"),
    ],
)
def test_the_page_says_it_in_words(reported: HeartbeatRequest, tone: str, label: str) -> None:
    [uplink] = [fact for fact in facts(reported, None, online=True) if fact.label == "Uplink"]
    assert (uplink.tone, uplink.value) == (tone, label)
