"""Certificates outside their time: by the cloud's fault, or because the station's clock is wrong."""

from __future__ import annotations

import pytest

from tests.netfaults.rounds import Facts, Round, heartbeat_says, reason_is

YEAR = 365 * 86_400
EXPIRED, EARLY = "certificate has expired", "certificate is not yet valid"


def uncounted(facts: Facts) -> bool:
    """The clock is known to be bad, so no failure opens the breaker (it may be half-open from before)."""
    return facts["breaker"]["state"] != "open" and not facts["clock"]["synchronized"]


def test_a_certificate_outside_its_time_is_a_failure_while_the_clock_is_right(round_: Round) -> None:
    pair = round_.pair
    pair.unplug()
    round_.hand_in_all()
    pair.proxy.ask(certificate="expired")
    with round_.quiet():
        pair.plug()
        round_.tells(reason_is(EXPIRED))
        pair.proxy.ask(certificate="future")
        pair.send_now()
        round_.tells(reason_is(EARLY))
    round_.recover()


def test_a_clock_that_is_wrong_keeps_the_station_away_until_it_is_right_again(round_: Round) -> None:
    pair = round_.pair
    if not pair.clock.possible:
        pytest.skip("gcc is not installed: the station's clock cannot be put wrong")
    pair.unplug()
    round_.hand_in_all()
    pair.clock.set(ahead_s=-5 * YEAR, synchronized=False)
    round_.hand_in("high", 40_000)
    with round_.quiet():
        pair.plug()
        round_.tells(lambda facts: reason_is(EARLY)(facts) and uncounted(facts))
        pair.clock.set(ahead_s=5 * YEAR, synchronized=False)
        pair.send_now()
        round_.tells(lambda facts: heartbeat_says(EXPIRED)(facts) and uncounted(facts))
    round_.recover()
