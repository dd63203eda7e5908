"""The circuit breaker: the table of its moves, its waits, and what never happens in any order of events."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from buffer.breaker import Breaker, BreakerPolicy, BreakerState

CLOSED, OPEN, HALF_OPEN = BreakerState


def latest() -> float:
    """No shortening: every wait is as long as it may be."""
    return 0.0


def full() -> float:
    """A ladder wait of the whole step, about; a recovery of half of it."""
    return 0.999999


def play(events: str, breaker: Breaker | None = None) -> tuple[Breaker, float]:
    """Play s(uccess) and f(ailure), each as soon as the breaker allows; the time at the end."""
    breaker = breaker or Breaker(latest)
    now = 0.0
    for event in events:
        now += breaker.wait(now)
        breaker.begin(now)
        if event == "s":
            breaker.succeeded(now)
        else:
            breaker.failed(now, "refused")
    return breaker, now


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ("", CLOSED),
        ("s", CLOSED),
        ("ffff", CLOSED),
        ("fffff", OPEN),
        ("fffs", CLOSED),
        ("ffffsf", OPEN),  # five of the last six failed
        ("sfsfs", CLOSED),  # two of five
        ("sfsff", OPEN),  # three of five, though never five in a row
        ("sfsfsf", OPEN),  # half of them
        ("s" * 20 + "f" * 4, CLOSED),
        ("s" * 20 + "fffsffs", CLOSED),
        ("s" * 20 + "fffs" * 3 + "f", OPEN),  # ten of the last twenty
        ("fffff" + "s", HALF_OPEN),
        ("fffff" + "ss", CLOSED),
        ("fffff" + "f", OPEN),
        ("fffff" + "sf", OPEN),
        ("fffff" + "ss" + "ffff", CLOSED),  # the window starts anew
    ],
)
def test_every_sequence_ends_in_its_state(events: str, state: BreakerState) -> None:
    assert play(events)[0].state is state


def test_while_closed_the_waits_are_the_ladder() -> None:
    breaker = Breaker(full)
    waits = []
    for _ in range(4):
        breaker.begin(100.0)
        breaker.failed(100.0, "refused")
        waits.append(round(breaker.wait(100.0)))
        breaker.probe_now(100.0)
    assert waits == [1, 5, 30, 30]


def test_recovery_is_tried_after_one_then_five_then_fifteen_minutes() -> None:
    breaker, now = play("fffff")
    waits = []
    for _ in range(5):
        waits.append(breaker.wait(now))
        now += breaker.wait(now)
        breaker.begin(now)
        breaker.failed(now, "still refused")
    assert waits == [60, 300, 900, 900, 900]


def test_recovery_may_come_earlier_by_chance_but_never_later() -> None:
    breaker, now = play("fffff", Breaker(full))
    assert 30 <= breaker.wait(now) < 31


def test_nothing_goes_out_before_its_time() -> None:
    breaker, now = play("fffff")
    with pytest.raises(RuntimeError, match="before its time"):
        breaker.begin(now + 59)
    assert breaker.begin(now + 60) is True


def test_a_try_while_closed_is_no_probe() -> None:
    assert Breaker(latest).begin(0.0) is False


def test_the_recovery_time_is_forgotten_after_ten_successes_not_after_one() -> None:
    sick, now = play("fffff" + "ss" + "fffff")
    assert sick.wait(now) == 300
    well, now = play("fffff" + "s" * 10 + "fffff")
    assert well.wait(now) == 60


def test_probe_now_cuts_the_wait_short_at_most_so_often() -> None:
    breaker, now = play("fffff")
    assert breaker.probe_now(now + 1, at_most_every=30) is True
    assert breaker.wait(now + 1) == 0
    breaker.begin(now + 1)
    breaker.failed(now + 1, "refused")
    assert breaker.probe_now(now + 30, at_most_every=30) is False
    assert breaker.wait(now + 30) > 200
    assert breaker.probe_now(now + 31, at_most_every=30) is True
    assert breaker.forced_ago(now + 33) == 2


def test_a_hold_outranks_success_and_probe() -> None:
    breaker = Breaker(latest)
    breaker.hold(10.0, 120, "429")
    breaker.succeeded(10.0)
    breaker.probe_now(11.0)
    assert breaker.wait(11.0) == 119
    assert breaker.snapshot(11.0).held is True
    breaker.hold(12.0, 5, "429")
    assert breaker.wait(12.0) == 118
    assert breaker.snapshot(131.0).held is False


def test_a_hold_for_other_credentials_ends_with_them() -> None:
    breaker = Breaker(latest)
    breaker.hold(10.0, 120, "released")
    breaker.end_hold(11.0)
    assert breaker.wait(11.0) == 0
    assert breaker.snapshot(11.0).held is False


@pytest.mark.parametrize(("asked", "kept"), [(-5, 0), (0, 0), (60, 60), (10**9, 3600)])
def test_a_hold_has_bounds(asked: float, kept: float) -> None:
    breaker = Breaker(latest)
    breaker.hold(0.0, asked, "429")
    assert breaker.wait(0.0) == kept


def test_the_snapshot_says_what_a_person_asks() -> None:
    breaker, now = play("fffff")
    seen = breaker.snapshot(now + 10)
    assert (seen.state, seen.retry_in, seen.failures_in_row) == (OPEN, 50, 5)
    assert (seen.openings, seen.last_reason, seen.held) == (1, "refused", False)


def test_openings_and_probes_are_counted_over_restarts() -> None:
    breaker, now = play("fffff" + "ff" + "ss")
    seen = Breaker.decode(breaker.encode(now), 0.0, latest).snapshot(0.0)
    assert (seen.openings, seen.probes) == (3, 4)


def test_a_restart_keeps_state_and_what_is_left_of_the_wait() -> None:
    breaker, now = play("fffff" + "f")
    breaker.hold(now, 200, "maintenance")
    restored = Breaker.decode(breaker.encode(now + 100), 7.0, latest)
    assert restored.snapshot(7.0) == breaker.snapshot(now + 100)
    assert restored.wait(7.0) == 200
    restored.begin(207.0)
    restored.failed(207.0, "refused")
    assert restored.wait(207.0) == 900


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"state": "ajar"}',
        json.dumps({"state": "open", "window": "", "failures": "x", "openings": 0, "level": 0}),
    ],
)
def test_a_note_that_cannot_be_read_gives_a_closed_breaker(text: str) -> None:
    assert Breaker.decode(text, 0.0, latest).snapshot(0.0) == Breaker(latest).snapshot(0.0)


def test_a_note_with_an_absurd_wait_is_bounded() -> None:
    saved = json.loads(play("fffff")[0].encode(0.0))
    saved |= {"wait": 1e12, "held": 1e12, "level": 99}
    restored = Breaker.decode(json.dumps(saved), 0.0, latest)
    assert restored.wait(0.0) == pytest.approx(4320)


class AnyOrder(RuleBasedStateMachine):
    """Every order of events that a drain can cause."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.in_row = 0
        self.held_until = 0.0
        self.policy = BreakerPolicy()
        self.breaker = Breaker(latest, self.policy)

    def may_go(self) -> bool:
        return self.breaker.wait(self.now) == 0

    @rule(seconds=st.floats(0, 1000))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(may_go)
    @rule()
    def a_try_succeeds(self) -> None:
        was = self.breaker.state
        probe = self.breaker.begin(self.now)
        assert probe is (was is not CLOSED)
        self.breaker.succeeded(self.now)
        self.in_row = 0
        assert self.breaker.state is not OPEN
        assert self.breaker.wait(self.now) == 0

    @precondition(may_go)
    @rule()
    def a_try_fails(self) -> None:
        probe = self.breaker.begin(self.now)
        self.breaker.failed(self.now, "refused")
        self.in_row += 1
        if probe or self.in_row >= self.policy.failures_in_row:
            assert self.breaker.state is OPEN
        if self.breaker.state is OPEN:
            assert round(self.breaker.wait(self.now), 6) in self.policy.recovery
        else:
            assert self.breaker.wait(self.now) <= 30

    @rule(seconds=st.floats(0, 5000))
    def the_endpoint_asks_for_peace(self, seconds: float) -> None:
        self.breaker.hold(self.now, seconds, "429")
        self.held_until = max(self.held_until, self.now + min(seconds, 3600))

    @rule()
    def the_link_comes_up(self) -> None:
        self.breaker.probe_now(self.now)
        assert self.breaker.wait(self.now) == max(0.0, self.held_until - self.now)

    @rule()
    def the_program_restarts(self) -> None:
        before = self.breaker.snapshot(self.now)
        self.breaker = Breaker.decode(self.breaker.encode(self.now), self.now, latest, self.policy)
        after = self.breaker.snapshot(self.now)
        assert (after.state, after.failures_in_row) == (before.state, before.failures_in_row)
        assert after.retry_in == pytest.approx(before.retry_in)
        self.held_until = max(0.0, self.now + json.loads(self.breaker.encode(self.now))["held"])

    @invariant()
    def it_never_waits_longer_than_promised(self) -> None:
        left = max(900.0, self.held_until - self.now)
        assert 0 <= self.breaker.wait(self.now) <= left + 0.001

    @invariant()
    def it_always_lets_go_in_the_end(self) -> None:
        assert self.breaker.wait(self.now + 3601) == 0


TestAnyOrderOfEvents = AnyOrder.TestCase


@given(st.text(max_size=200))
def test_no_note_makes_it_fail(text: str) -> None:
    assert Breaker.decode(text, 0.0, latest).wait(0.0) >= 0
