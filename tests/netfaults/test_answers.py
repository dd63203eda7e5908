"""Answers that are wrong: the server fails over one message, or somebody else answers for the cloud."""

from __future__ import annotations

import pytest

from scripts.processes import eventually
from tests.netfaults.rounds import PATIENCE_S, Facts, Round, reason_is, waiting


@pytest.mark.parametrize("priority", ["high", "critical"])
def test_a_message_over_which_the_server_falls_stops_no_other_and_is_not_lost(
    round_: Round, priority: str
) -> None:
    pair = round_.pair
    pair.unplug()
    guilty = round_.hand_in(priority)
    round_.begin()  # it comes last, however urgent it is
    for other, size in (("low", 0), ("normal", 300_000), ("high", 40_000), ("high", 0)):
        round_.hand_in(other, size)
    eventually(lambda: waiting(pair) >= 5, "five events wait", PATIENCE_S)
    others = {f"test:{number}" for number in round_.numbers - {guilty}}
    pair.proxy.ask(mode="fail_one", marker=f'"test:{guilty}"')

    def says(facts: Facts) -> bool:
        """The cloud is well and everything else goes; the log, which the page shows, names the message."""
        blamed = any(f"test:{guilty} waits for another try: 500" in line for line in facts["log"])
        return facts["breaker"]["state"] == "closed" and blamed

    with round_.quiet():
        pair.plug()
        eventually(lambda: others == arrived_names(round_), "all others arrive while it fails", PATIENCE_S)
        round_.tells(says, struck=lambda: pair.proxy.ask()["struck"] > 0)
    round_.recover()


def arrived_names(round_: Round) -> set[str]:
    pair = round_.pair
    return {row["client_event_id"] for row in pair.owner.events(pair.device)}


def test_a_page_of_somebody_else_is_no_answer_of_the_cloud(round_: Round) -> None:
    pair = round_.pair
    pair.unplug()
    round_.hand_in_all()
    pair.proxy.ask(mode="page")
    says = reason_is("Something answers in the cloud's place")
    with round_.quiet():
        pair.plug()
        round_.tells(says, struck=lambda: pair.proxy.ask()["struck"] > 0)
    round_.recover()
