"""A server that says yes and forgets: before it commits, or together with its disk.

In which order the events come in the end is not looked at here: what was forgotten twice waits a minute, so
an urgent one that went ahead alone, twice in vain, comes after what was sent once.
"""

from __future__ import annotations

from typing import Any

from scripts.processes import eventually
from tests.netfaults.rounds import PATIENCE_S, Round, waiting


def believes(round_: Round) -> bool:
    """Nothing waits: the station was told yes for everything."""
    return waiting(round_.pair) == 0


def rows(round_: Round) -> dict[str, dict[str, Any]]:
    """What the cloud really has, by the name of the event."""
    return {row["client_event_id"]: row for row in round_.pair.owner.events(round_.pair.device)}


def test_events_that_a_server_forgot_after_its_yes_are_sent_again(round_: Round) -> None:
    pair = round_.pair
    before = set(rows(round_))
    pair.unplug()
    round_.hand_in_all()
    pair.proxy.ask(mode="forget")
    with round_.quiet():
        pair.plug()
        eventually(lambda: pair.proxy.ask()["struck"] > 0 and believes(round_), "all got a yes", PATIENCE_S)
        assert set(rows(round_)) == before, "and none was kept"
    pair.heal()
    missing = {f"test:{number}" for number in round_.numbers}
    eventually(lambda: missing <= set(rows(round_)), "all are there after all", PATIENCE_S)
    assert "the cloud said yes and then did not have it" in pair.station.text()
    round_.recover(ordered=False)


def test_a_file_that_a_server_forgot_after_its_yes_is_sent_again(round_: Round) -> None:
    pair = round_.pair
    pair.unplug()
    number = round_.hand_in("high", 3_000_000)
    eventually(lambda: waiting(pair) >= 1, "the event waits", PATIENCE_S)
    name = f"test:{number}"
    pair.proxy.ask(mode="forget_files")
    with round_.quiet():
        pair.plug()
        eventually(
            lambda: pair.proxy.ask()["struck"] > 0 and believes(round_), "the file got a yes", PATIENCE_S
        )
        assert not any(media["stored"] for media in rows(round_)[name]["media"]), "and was not kept"
    pair.heal()
    eventually(
        lambda: all(media["stored"] for media in rows(round_)[name]["media"]), "it is there", PATIENCE_S
    )
    round_.recover()
