"""Every pair of state and trigger, against a table written by hand and not taken from the machine."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.lifecycle import EDGES, Lifecycle, Refused, State, Transition, Trigger

# state -> trigger -> (target of an unclaimed device, target of a claimed one); all other pairs are refused
EXPECTED: dict[str, dict[str, tuple[str, str]]] = {
    "uninitialized": {
        "power_on": ("initializing", "initializing"),
        "reset_requested": ("setup", "setup"),
    },
    "initializing": {
        "fingerprint_ready": ("setup", "setup"),
        "hardware_failed": ("error", "error"),
        "resumed": ("reconnecting", "reconnecting"),
        "network_known": ("connecting", "connecting"),
        "reset_requested": ("setup", "setup"),
    },
    "setup": {
        "waiting_for_user": ("setup", "setup"),
        "client_joined": ("configuring", "configuring"),
        "link_up": ("network_ready", "operational"),
        "reset_requested": ("setup", "setup"),
    },
    "configuring": {
        "credentials_received": ("connecting", "connecting"),
        "cancelled": ("setup", "setup"),
        "link_up": ("network_ready", "operational"),
        "reset_requested": ("setup", "setup"),
    },
    "connecting": {
        "connected": ("network_ready", "network_ready"),
        "connect_failed": ("setup", "setup"),
        "reset_requested": ("setup", "setup"),
    },
    "network_ready": {
        "waiting_for_claim": ("network_ready", "network_ready"),
        "claim_started": ("claiming", "claiming"),
        "reset_requested": ("setup", "setup"),
    },
    "claiming": {
        "claim_succeeded": ("activating", "activating"),
        "claim_failed": ("network_ready", "network_ready"),
        "reset_requested": ("setup", "setup"),
    },
    "activating": {
        "released": ("network_ready", "network_ready"),
        "activated": ("operational", "operational"),
        "activation_failed": ("error", "error"),
        "reset_requested": ("setup", "setup"),
    },
    "operational": {
        "released": ("network_ready", "network_ready"),
        "running": ("operational", "operational"),
        "network_lost": ("reconnecting", "reconnecting"),
        "update_received": ("updating", "updating"),
        "reset_requested": ("setup", "setup"),
    },
    "updating": {
        "released": ("network_ready", "network_ready"),
        "update_applied": ("operational", "operational"),
        "update_failed": ("operational", "operational"),
        "reset_requested": ("setup", "setup"),
    },
    "reconnecting": {
        "released": ("network_ready", "network_ready"),
        "reconnected": ("operational", "operational"),
        "reconnect_failed": ("setup", "setup"),
        "reset_requested": ("setup", "setup"),
    },
    "error": {
        "recovered": ("setup", "setup"),
        "fatal": ("halted", "halted"),
        "reset_requested": ("setup", "setup"),
    },
    "halted": {},
}

PAIRS = [(state, trigger, claimed) for state in State for trigger in Trigger for claimed in (False, True)]


@pytest.mark.parametrize(("state", "trigger", "claimed"), PAIRS)
def test_a_pair_is_an_edge_of_the_table_or_is_refused_and_changes_nothing(
    state: State, trigger: Trigger, claimed: bool
) -> None:
    machine = Lifecycle(state, is_claimed=lambda: claimed)
    targets = EXPECTED[state].get(trigger)
    if targets is None:
        with pytest.raises(Refused) as refusal:
            machine.fire(trigger)
        assert (refusal.value.state, refusal.value.trigger) == (state, trigger)
        assert machine.state is state
    else:
        step = machine.fire(trigger)
        assert step == Transition(state, trigger, State(targets[claimed]))
        assert machine.state is step.target


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("claimed", [False, True])
def test_the_allowed_triggers_are_those_of_the_table(state: State, claimed: bool) -> None:
    assert Lifecycle(state, is_claimed=lambda: claimed).allowed() == set(EXPECTED[state])


def test_the_table_of_edges_has_one_row_for_each_step_and_no_other() -> None:
    expected = {
        (trigger, state, target)
        for state, row in EXPECTED.items()
        for trigger, to in row.items()
        for target in to
    }
    assert sorted((e.trigger, e.source, e.target) for e in EDGES) == sorted(expected)


def test_the_specification_draws_24_edges_and_each_of_ours_has_its_reason() -> None:
    assert len([edge for edge in EDGES if not edge.reason]) == 24
    assert len([edge for edge in EDGES if edge.reason]) == 22


def test_a_new_machine_stands_at_the_beginning() -> None:
    assert Lifecycle(is_claimed=lambda: False).state is State.UNINITIALIZED


def test_a_refusal_says_what_would_have_been_possible() -> None:
    machine = Lifecycle(State.ERROR, is_claimed=lambda: False)
    with pytest.raises(Refused) as refusal:
        machine.fire(Trigger.ACTIVATED)
    assert refusal.value.reason == (
        "activated is not possible in error; possible here: fatal, recovered, reset_requested."
    )
    assert refusal.value.code == "FSM-001"


def test_a_halted_machine_says_that_nothing_is_possible() -> None:
    with pytest.raises(Refused, match="possible here: nothing"):
        Lifecycle(State.HALTED, is_claimed=lambda: True).fire(Trigger.RESET_REQUESTED)


def test_the_guard_is_asked_when_the_link_comes_up_and_not_before() -> None:
    claimed = [False]
    machine = Lifecycle(State.SETUP, is_claimed=lambda: claimed[0])
    claimed[0] = True
    assert machine.fire(Trigger.LINK_UP).target is State.OPERATIONAL


def test_a_guard_that_fails_leaves_the_machine_where_it_was_and_usable() -> None:
    answers: Iterator[OSError | bool] = iter([OSError("disk gone"), False])

    def is_claimed() -> bool:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    machine = Lifecycle(State.SETUP, is_claimed=is_claimed)
    with pytest.raises(OSError, match="disk gone"):
        machine.fire(Trigger.LINK_UP)
    assert machine.state is State.SETUP
    assert machine.fire(Trigger.CLIENT_JOINED).target is State.CONFIGURING


def test_two_machines_do_not_share_their_state() -> None:
    first, second = (Lifecycle(is_claimed=lambda: False) for _ in range(2))
    first.fire(Trigger.POWER_ON)
    assert (first.state, second.state) == (State.INITIALIZING, State.UNINITIALIZED)


@given(st.lists(st.tuples(st.sampled_from(Trigger), st.booleans()), max_size=60))
def test_a_random_walk_follows_the_table_at_every_step(walk: list[tuple[Trigger, bool]]) -> None:
    claimed = [False]
    machine = Lifecycle(is_claimed=lambda: claimed[0])
    state = "uninitialized"
    for trigger, claimed[0] in walk:
        targets = EXPECTED[state].get(trigger)
        if targets is None:
            with pytest.raises(Refused):
                machine.fire(trigger)
        else:
            machine.fire(trigger)
            state = targets[claimed[0]]
        assert machine.state == state


@given(st.lists(st.sampled_from(Trigger), max_size=40), st.booleans())
def test_wherever_a_walk_ends_a_device_that_is_not_halted_can_be_reset(
    walk: list[Trigger], claimed: bool
) -> None:
    machine = Lifecycle(is_claimed=lambda: claimed)
    for trigger in walk:
        if trigger in machine.allowed():
            machine.fire(trigger)
    if machine.state is not State.HALTED:
        assert machine.fire(Trigger.RESET_REQUESTED).target is State.SETUP
