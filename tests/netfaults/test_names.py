"""The cloud's name cannot be looked up: the name server is silent, fails, or is not there."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.netfaults.pair import Pair
from tests.netfaults.rounds import Round, reason_is

KEPT_S = 11.0
"""The station's HTTP client remembers an address for ten seconds; a fault must outlast that to be one."""


def asked(pair: Pair) -> Callable[[], bool]:
    return lambda: pair.names.ask()["asked"] > 0


def test_without_names_everything_waits_and_the_station_says_that_it_is_the_name(round_: Round) -> None:
    pair, says = round_.pair, reason_is("name could not be found")
    pair.unplug()
    pair.names.ask(mode="silent")
    round_.hand_in_all()
    time.sleep(KEPT_S)
    with round_.quiet():
        pair.plug()
        round_.tells(says, asked(pair))
    pair.names.ask(mode="servfail")
    with round_.quiet():
        pair.send_now()
        round_.tells(says, asked(pair))
    pair.names.ask(mode="gone")
    with round_.quiet():
        pair.send_now()
        round_.tells(says)
    round_.recover()
