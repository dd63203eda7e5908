"""What the requests that are made anyway tell about the connection."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from appliance.network.meter import MEMORY_S, QualityMeter
from appliance.network.quality import Measurement, Quality

Story = Callable[[QualityMeter], object]


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def small(meter: QualityMeter, *milliseconds: float) -> QualityMeter:
    for each in milliseconds:
        meter.answered(each / 1000, 500)
    return meter


def lost(meter: QualityMeter, fault: str, times: int) -> QualityMeter:
    for _ in range(times):
        meter.unanswered(fault)
    return meter


def upload(meter: QualityMeter, megabits: float, seconds: float = 1.0) -> QualityMeter:
    meter.answered(seconds, int(megabits * 1e6 / 8))
    return meter


STORIES: list[tuple[str, Story, Measurement | None, Quality | None]] = [
    ("nothing yet", lambda m: None, None, None),
    ("quick", lambda m: small(m, 80, 40, 900), Measurement(True, 40.0), Quality.GOOD),
    (
        "quick and broad",
        lambda m: upload(small(m, 50), 20, 1.05),
        Measurement(True, 50.0, 20.0),
        Quality.EXCELLENT,
    ),
    ("slow", lambda m: small(m, 700, 600, 800), Measurement(True, 600.0), Quality.POOR),
    ("the first two slow", lambda m: small(m, 900, 600), Measurement(True), Quality.GOOD),
    (
        "narrow",
        lambda m: upload(upload(small(m, 100), 0.6, 1.1), 0.6, 1.1),
        Measurement(True, 100.0, 0.6),
        Quality.POOR,
    ),
    (
        "one narrow upload",
        lambda m: upload(small(m, 100), 0.6, 1.1),
        Measurement(True, 100.0),
        Quality.GOOD,
    ),
    (
        "one lost of three",
        lambda m: lost(small(m, 90, 90), "timeout", 1),
        Measurement(True, 90.0),
        Quality.GOOD,
    ),
    (
        "two lost of ten",
        lambda m: lost(small(m, *[90] * 8), "timeout", 2),
        Measurement(True, 90.0, loss=0.2),
        Quality.NONE,
    ),
    ("refused", lambda m: lost(m, "refused", 10), Measurement(True), Quality.GOOD),
    ("no names", lambda m: lost(small(m, 90), "dns", 1), Measurement(False, 90.0), Quality.NONE),
    ("names again", lambda m: small(lost(m, "dns", 3), 90), Measurement(True, 90.0), Quality.GOOD),
]


@pytest.mark.parametrize(
    ("story", "seen", "verdict"), [row[1:] for row in STORIES], ids=[row[0] for row in STORIES]
)
def test_what_is_measured(story: Story, seen: Measurement | None, verdict: Quality | None) -> None:
    meter = QualityMeter(Time())
    story(meter)
    assert meter.measurement() == seen
    assert meter.quality() == verdict


def test_the_middle_of_a_few_uploads_counts_so_that_one_stall_does_not() -> None:
    meter = QualityMeter(Time())
    for seconds in (1.0, 1.0, 60.0):
        upload(meter, 8, seconds)
    seen = meter.measurement()
    assert seen is not None and seen.bandwidth_mbps == 8.0


def test_what_is_old_is_forgotten() -> None:
    time = Time()
    meter = QualityMeter(time)
    small(meter, 900)
    time.now += MEMORY_S + 1
    assert meter.measurement() is None


def test_another_link_begins_anew() -> None:
    meter = QualityMeter(Time())
    lost(meter, "timeout", 10)
    meter.link_changed()
    assert meter.quality() is None
