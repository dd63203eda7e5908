"""Certificates outside their time: by the cloud's fault, or because the station's clock is wrong."""

from __future__ import annotations

import pytest

from tests.netfaults.rounds import Round, reason_is

YEAR = 365 * 86_400
EXPIRED, EARLY = "certificate has expired", "certificate is not yet valid"


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


@pytest.mark.parametrize("ahead_s", [-5 * YEAR, 5 * YEAR], ids=["late", "early"])
def test_a_clock_that_is_wrong_and_known_to_be_keeps_nothing_back(round_: Round, ahead_s: int) -> None:
    """The station goes by what the cloud told it, on the monotonic clock; also about the certificate."""
    pair = round_.pair
    if not pair.clock.possible:
        pytest.skip("gcc is not installed: the station's clock cannot be put wrong")
    pair.unplug()
    round_.hand_in_all()
    pair.clock.set(ahead_s=ahead_s, synchronized=False)
    pair.plug()
    round_.drain()
    assert not round_.status()["clock"]["synchronized"]
    round_.recover()
