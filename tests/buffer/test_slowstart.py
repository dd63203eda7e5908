"""Coming back after an outage: small batches first, and not the whole fleet at one moment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.slowstart import CAREFUL_SUCCESSES, LONGEST_SPREAD_S, SPREAD_S, STEPS, SlowStart


def after(events: str, start: SlowStart | None = None) -> int | None:
    """The limit after r(ecovery), s(uccess) and f(ailure)."""
    slow = start or SlowStart(lambda: 0.5)
    for event in events:
        match event:
            case "r":
                slow.recovered(0.0, shared=False)
            case "s":
                slow.succeeded()
            case _:
                slow.failed()
    return slow.limit


@pytest.mark.parametrize(
    ("events", "limit"),
    [
        ("", None),
        ("sf", None),  # nothing is limited before the first outage
        ("r", 10),
        ("rs", 50),
        ("rss", 200),
        ("rsss", 500),
        ("rssss", None),
        ("rf", 5),
        ("rffff", 1),
        ("rssf", 100),
        ("rssf" + "s" * (CAREFUL_SUCCESSES - 1), 100),
        ("rssf" + "s" * CAREFUL_SUCCESSES, 200),
        ("rssfr", 10),
        ("rssfrs", 50),
    ],
)
def test_the_batches_grow_with_success_and_are_halved_by_failure(events: str, limit: int | None) -> None:
    assert after(events) == limit


@pytest.mark.parametrize(("shared", "chance", "wait"), [(True, 0.25, 30), (True, 0, 0), (False, 0.9, 0)])
def test_only_an_outage_that_all_stations_saw_is_followed_by_a_random_wait(
    shared: bool, chance: float, wait: float
) -> None:
    slow = SlowStart(lambda: chance)
    slow.recovered(1000.0, shared=shared)
    assert slow.wait(1000.0) == wait
    assert slow.wait(1000.0 + wait) == 0


def test_the_cloud_names_its_spread_and_a_wait_that_runs_gets_shorter_with_it() -> None:
    slow = SlowStart(lambda: 0.5)
    slow.recovered(1000.0, shared=True)
    assert slow.wait(1000.0) == SPREAD_S / 2
    slow.spread_over(SPREAD_S / 4, 1000.0)
    assert slow.wait(1000.0) == SPREAD_S / 8
    slow.spread_over(LONGEST_SPREAD_S * 10, 1000.0)
    assert slow.wait(1000.0) == SPREAD_S / 8, "a wait is never lengthened"
    slow.recovered(2000.0, shared=True)
    assert slow.wait(2000.0) == LONGEST_SPREAD_S / 2, "the longest that is believed"
    slow.spread_over(0, 2000.0)
    assert slow.wait(2000.0) == 0


def test_a_person_or_a_new_link_ends_the_wait() -> None:
    slow = SlowStart(lambda: 0.9)
    slow.recovered(0.0, shared=True)
    slow.no_spread(5.0)
    assert slow.wait(5.0) == 0


@given(st.text("rsf", max_size=60), st.floats(0, 1, exclude_max=True))
def test_it_never_stops_the_upload_for_good(events: str, chance: float) -> None:
    slow = SlowStart(lambda: chance)
    limit = after(events, slow)
    assert limit is None or 1 <= limit <= STEPS[-1]
    slow.recovered(0.0, shared=True)
    assert slow.wait(0.0) <= SPREAD_S
    assert after("s" * 100, slow) is None
