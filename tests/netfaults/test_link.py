"""Faults of the link itself: lost packets, long ways, and connections of which only one end is left."""

from __future__ import annotations

import pytest

from scripts.processes import eventually
from tests.netfaults.rounds import PATIENCE_S, Facts, Round, lane_says, waiting


def no_lie(facts: Facts) -> bool:
    """On a link that loses packets a try may succeed or fail; when one failed, an answer was missing."""
    reason = facts["breaker"]["reason"]
    return not reason or "did not answer in time" in reason or "cannot be reached" in reason


def poor(facts: Facts) -> bool:
    """The connection is to blame, and not the clock because of the slow answers."""
    codes = [each["code"] for each in facts["warnings"]]
    return "UPL-002" in codes and "TIME-001" not in codes and facts["clock"]["offset_ms"] is not None


@pytest.mark.every_link
def test_every_third_packet_is_lost_and_no_event(round_: Round) -> None:
    pair = round_.pair
    pair.unplug()
    round_.hand_in_all()
    pair.link.set(loss=0.3)
    before = pair.link.lost()
    with round_.quiet():
        pair.plug()
        round_.tells(no_lie, struck=lambda: pair.link.lost() > before)
    round_.recover()


@pytest.mark.every_link
def test_two_seconds_to_the_cloud_and_back_are_a_poor_connection_and_lose_nothing(round_: Round) -> None:
    pair = round_.pair
    pair.unplug()
    round_.hand_in_all()
    pair.link.set(delay_s=1.0)
    with round_.quiet():
        pair.plug()
        round_.tells(poor)
    round_.recover()


def test_a_connection_that_goes_silent_in_the_middle_of_a_file_is_given_up_and_begun_anew(
    round_: Round,
) -> None:
    pair = round_.pair
    pair.link.set(delay_s=0.1)
    pieces = pair.cloud.text().count("PATCH")
    round_.hand_in("normal", 12_000_000)
    eventually(lambda: waiting(pair) > 0, "the event waits", PATIENCE_S)
    pair.send_now()
    eventually(
        lambda: pair.cloud.text().count("PATCH") > pieces, "the first pieces of the file arrive", PATIENCE_S
    )
    pair.link.set(blackhole=True)
    before = pair.link.lost()
    round_.begin()
    with round_.quiet():
        round_.hand_in_all()
        says = lane_says("files", "did not answer in time")
        round_.tells(says, struck=lambda: pair.link.lost() > before)
    round_.recover()
