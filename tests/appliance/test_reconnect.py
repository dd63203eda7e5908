"""When the live connection is tried again: spread, capped, never busy."""

from __future__ import annotations

import random
from collections import Counter

from appliance.uplink.reconnect import BLOCKED_AFTER, BLOCKED_S, CAP_S, LEAST_S, STEADY_S, Reconnect


def test_two_hundred_stations_do_not_come_back_at_one_moment() -> None:
    dice = random.Random(7)
    stations = [Reconnect(dice.random) for _ in range(200)]
    for station in stations:
        station.ended(STEADY_S)  # all had long connections when the cloud went
    seconds = Counter[int]()
    for station in stations:
        now = 0.0
        while now < 600:  # the cloud stays away: every try fails
            now += station.failed()
            seconds[int(now)] += 1
    assert max(seconds.values()) <= 40
    late = [count for second, count in seconds.items() if 300 <= second < 600]
    assert sum(late) / 300 < 4  # 200 stations with a mean wait of half the cap, and some margin


def test_waits_grow_to_a_cap_and_are_never_nothing() -> None:
    least, most = Reconnect(lambda: 0.0), Reconnect(lambda: 0.999)
    assert {least.failed() for _ in range(20)} == {LEAST_S}
    waits = [most.failed() for _ in range(20)]
    assert waits == sorted(waits)
    assert CAP_S * 0.99 < waits[-1] <= CAP_S


def test_a_steady_connection_ends_the_row_and_a_short_one_does_not() -> None:
    station = Reconnect(lambda: 0.999)
    for _ in range(5):
        station.failed()
    assert station.ended(STEADY_S - 1) > 100
    assert station.ended(STEADY_S) < 11


def test_a_wait_that_the_cloud_asked_for_is_kept() -> None:
    assert Reconnect(lambda: 0.0).failed(120) >= 120


def test_a_way_without_websockets_is_tried_rarely_until_the_network_is_another() -> None:
    station = Reconnect(lambda: 0.0)
    waits = [station.not_upgraded() for _ in range(BLOCKED_AFTER)]
    assert station.blocked
    assert waits[-2] < BLOCKED_S / 2 <= waits[-1]
    station.fresh()
    assert not station.blocked
    assert station.not_upgraded() < BLOCKED_S / 2
