"""The waits between tries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.backoff import ladder_delay, lengthened, shortened

CHANCE = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(("tries", "step"), [(0, 1), (1, 1), (2, 5), (3, 30), (4, 30), (1000, 30)])
def test_the_ladder_is_one_five_thirty_seconds_with_full_jitter(tries: int, step: float) -> None:
    assert ladder_delay(tries, lambda: 0.0) == 0
    assert ladder_delay(tries, lambda: 0.5) == step / 2
    assert ladder_delay(tries, lambda: 0.999) == pytest.approx(step, rel=0.01)


@given(CHANCE, st.floats(0, 10_000))
def test_a_promised_maximum_is_never_passed_and_a_set_minimum_always_kept(
    chance: float, seconds: float
) -> None:
    assert seconds / 2 <= shortened(seconds, lambda: chance) <= seconds
    assert seconds <= lengthened(seconds, lambda: chance) <= seconds * 1.2000001
