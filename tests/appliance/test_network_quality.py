"""The pure parts: quality of a connection, the plan of recovery, the order of reconnection."""

from __future__ import annotations

import pytest

from appliance.network.quality import Measurement, Quality, judge
from appliance.network.recovery import (
    MAX_FAILURES,
    Action,
    Plan,
    plan,
    reconnection_order,
    retry_delay,
)

TABLE = [
    # dns, latency ms, bandwidth Mbit/s, loss -> quality
    (False, 20.0, 50.0, 0.0, Quality.NONE),
    (True, 20.0, 50.0, 0.1001, Quality.NONE),
    (True, 20.0, 50.0, 0.1, Quality.EXCELLENT),
    (True, 900.0, 0.1, 0.5, Quality.NONE),
    (True, 500.0, 5.0, 0.0, Quality.GOOD),
    (True, 500.1, 5.0, 0.0, Quality.POOR),
    (True, 20.0, 1.0, 0.0, Quality.GOOD),
    (True, 20.0, 0.99, 0.0, Quality.POOR),
    (True, 99.9, 10.1, 0.0, Quality.EXCELLENT),
    (True, 100.0, 10.1, 0.0, Quality.GOOD),
    (True, 99.9, 10.0, 0.0, Quality.GOOD),
    (True, None, 50.0, 0.0, Quality.GOOD),
    (True, 20.0, None, 0.0, Quality.GOOD),
    (True, None, None, 0.0, Quality.GOOD),
    (True, 501.0, None, 0.0, Quality.POOR),
    (True, None, 0.5, 0.0, Quality.POOR),
]


@pytest.mark.parametrize(("dns", "latency", "bandwidth", "loss", "expected"), TABLE)
def test_the_quality_follows_the_table_up_to_its_limits(
    dns: bool, latency: float | None, bandwidth: float | None, loss: float, expected: Quality
) -> None:
    assert judge(Measurement(dns, latency, bandwidth, loss)) is expected


@pytest.mark.parametrize("quality", [Quality.GOOD, Quality.EXCELLENT])
def test_a_good_connection_is_checked_every_thirty_seconds(quality: Quality) -> None:
    assert plan(quality, None, 100.0) == Plan(Action.NOTHING, 130.0)


def test_a_poor_connection_is_checked_every_sixty_seconds_and_reconnected() -> None:
    assert plan(Quality.POOR, None, 100.0) == Plan(Action.RECONNECT, 160.0)


def test_without_a_connection_the_waits_double_until_the_rescue_opens() -> None:
    now, current, waits, actions = 0.0, None, [], []
    for _ in range(MAX_FAILURES + 3):
        current = plan(Quality.NONE, current, now)
        waits.append(current.check_at - now)
        actions.append(current.action)
        now = current.check_at
    assert waits == [1, 2, 4, 8, 16, 180, 180, 180]
    assert actions == [Action.RECONNECT] * 5 + [Action.RESCUE] * 3


def test_one_good_check_forgets_all_failures() -> None:
    failed = Plan(Action.RESCUE, 0.0, failures=9)
    good = plan(Quality.GOOD, failed, 10.0)
    assert plan(Quality.NONE, good, 40.0) == Plan(Action.RECONNECT, 41.0, failures=1)


def test_the_wait_has_an_upper_limit() -> None:
    assert retry_delay(10_000) == 300


@pytest.mark.parametrize(
    ("current", "stored", "order"),
    [
        (None, [], []),
        (None, [b"a", b"b"], [b"a", b"b"]),
        (b"b", [b"a", b"b", b"c"], [b"b", b"a", b"c"]),
        (b"gone", [b"a"], [b"a"]),
        (b"a", [b"a", b"a", b"b"], [b"a", b"b"]),
    ],
)
def test_the_current_network_is_tried_first_and_only_stored_ones_at_all(
    current: bytes | None, stored: list[bytes], order: list[bytes]
) -> None:
    assert reconnection_order(current, stored) == order
