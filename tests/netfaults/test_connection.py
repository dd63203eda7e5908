"""Faults of a connection that was made: cut in the middle of a body, or hardly moving."""

from __future__ import annotations

import pytest

from tests.netfaults.rounds import Round, reason_is

CUT = "cannot be reached: .*([Rr]eset|[Dd]isconnected|closing transport|Broken pipe)"
"""A cut is met while reading, while writing, or before the next write."""

FAULTS = {
    "cut_request": CUT,
    "cut_answer": CUT,
    "drip": "did not answer in time",
}
"""By mode of the proxy, what the station says of it."""


@pytest.mark.parametrize(("mode", "reason"), FAULTS.items(), ids=FAULTS)
def test_a_body_that_does_not_get_through_is_sent_again_and_kept_once(
    round_: Round, mode: str, reason: str
) -> None:
    pair = round_.pair
    pair.unplug()
    round_.hand_in_all()
    pair.proxy.ask(mode=mode)
    with round_.quiet():
        pair.plug()
        round_.tells(reason_is(reason), struck=lambda: pair.proxy.ask()["struck"] > 0)
    round_.recover()
