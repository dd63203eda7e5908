"""The four levels on a clock moved by hand: what leads to each, and what it takes to leave it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.degradation import CALM_S, Conditions, Degradation, Level, duties

WELL = Conditions(reachable=True, disk_used=0.5)
AWAY = Conditions(reachable=False)
TRYING = Conditions(reachable=False, trying=True)
POOR = Conditions(reachable=True, poor=True)
FULL_DISK = Conditions(reachable=True, disk_used=0.86)


def play(*steps: tuple[float, Conditions]) -> list[int]:
    """The level after each step; a step is seconds that pass, then what is seen."""
    made, now, levels = Degradation(), 0.0, []
    for seconds, seen in steps:
        now += seconds
        levels.append(int(made.judge(seen, now).level))
    return levels


TABLE: list[tuple[str, list[tuple[float, Conditions]], list[int]]] = [
    ("all is well", [(0, WELL), (1000, WELL)], [1, 1]),
    ("a poor connection", [(0, POOR), (1000, POOR)], [2, 2]),
    ("a breaker that probes", [(0, TRYING), (1000, TRYING)], [2, 2]),
    ("an outage of two minutes", [(0, AWAY), (119, AWAY), (1, AWAY)], [2, 2, 3]),
    (
        "back from an outage at once",
        [(0, AWAY), (120, AWAY), (1, WELL), (59, WELL), (1, WELL)],
        [2, 3, 2, 2, 1],
    ),
    ("a probe during an outage", [(0, AWAY), (120, AWAY), (1, TRYING), (1, AWAY)], [2, 3, 2, 2]),
    ("a minute that is interrupted", [(0, POOR), (50, WELL), (10, POOR), (59, WELL), (59, WELL)], [2] * 5),
    ("a full disk", [(0, FULL_DISK)], [4]),
    ("at the limit", [(0, Conditions(reachable=True, disk_used=0.85))], [1]),
    (
        "nine points better is not enough",
        [
            (0, FULL_DISK),
            (1, Conditions(reachable=True, disk_used=0.76)),
            (1000, Conditions(True, disk_used=0.76)),
        ],
        [4, 4, 4],
    ),
    (
        "ten points better for a minute",
        [(0, FULL_DISK), (1, WELL), (59, WELL), (1, WELL)],
        [4, 4, 4, 1],
    ),
    (
        "a disk that refuses",
        [(0, Conditions(reachable=True, disk_fails=True)), (1, WELL), (60, WELL)],
        [4, 4, 1],
    ),
    (
        "a battery",
        [
            (0, Conditions(True, battery=0.14)),
            (1, Conditions(True, battery=0.24)),
            (100, Conditions(True, battery=0.24)),
        ],
        [4, 4, 4],
    ),
    (
        "a battery that is charged",
        [
            (0, Conditions(True, battery=0.14)),
            (1, Conditions(True, battery=0.25)),
            (60, Conditions(True, battery=0.25)),
        ],
        [4, 4, 1],
    ),
    ("both axes", [(0, Conditions(False, disk_used=0.9)), (120, Conditions(False, disk_used=0.9))], [4, 4]),
    ("nothing is known", [(0, Conditions(reachable=True))], [1]),
]


@pytest.mark.parametrize(("steps", "levels"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_levels(steps: list[tuple[float, Conditions]], levels: list[int]) -> None:
    assert play(*steps) == levels


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (WELL, ""),
        (POOR, "connection"),
        (AWAY, "network"),
        (FULL_DISK, "disk"),
        (Conditions(True, battery=0.1), "battery"),
    ],
)
def test_the_reason_is_named(seen: Conditions, reason: str) -> None:
    assert Degradation().judge(seen, 0.0).reason == reason


def test_each_level_asks_for_no_more_than_the_one_before() -> None:
    asked = [duties(level) for level in Level]
    assert asked[0].batch_every is None and asked[0].config_every is None
    assert all(each.batch_every == 300 and each.config_every == 3600 for each in asked[1:])
    assert [each.full_telemetry for each in asked] == [True, False, False, False]
    assert [each.extras for each in asked] == [True, True, True, False]


conditions = st.builds(
    Conditions,
    reachable=st.booleans(),
    trying=st.booleans(),
    poor=st.booleans(),
    disk_used=st.none() | st.floats(0, 1),
    disk_fails=st.booleans(),
    battery=st.none() | st.floats(0, 1),
)


@given(st.lists(st.tuples(st.integers(0, 500), conditions), max_size=30))
def test_whatever_happened_it_returns_by_itself_in_a_minute_of_calm(
    steps: list[tuple[int, Conditions]],
) -> None:
    made, now = Degradation(), 0.0
    for seconds, seen in steps:
        now += seconds
        level = made.judge(seen, now).level
        if seen.reachable and not seen.poor:
            assert made.judgement.network <= Level.REDUCED
        if seen.disk_fails:
            assert level is Level.CONSERVE
    made.judge(WELL, now)
    assert made.judge(WELL, now + CALM_S).level is Level.FULL


@given(st.lists(st.booleans(), min_size=1, max_size=200))
def test_a_connection_that_comes_and_goes_does_not_make_the_level_flap(ups: list[bool]) -> None:
    """One look a second: in any minute the level changes at most as often as the rules allow."""
    made = Degradation()
    levels = [made.judge(WELL if up else AWAY, float(now)).level for now, up in enumerate(ups)]
    returns = [now for now in range(1, len(levels)) if levels[now] < levels[now - 1]]
    assert all(later - earlier >= CALM_S for earlier, later in pairwise(returns))
