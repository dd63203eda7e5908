"""What a person sees of each state."""

import pytest

from statemachine.lifecycle import State
from statemachine.phase import STEPS, WORDS, Phase, Tone, view_of

SEEN = [
    ("uninitialized", "setup", "Set up", 0, "amber", "triangle"),
    ("initializing", "setup", "Set up", 5, "amber", "triangle"),
    ("setup", "setup", "Set up", 15, "blue", "ring"),
    ("configuring", "configuring", "Connect", 30, "blue", "ring"),
    ("connecting", "configuring", "Connect", 45, "amber", "triangle"),
    ("network_ready", "claiming", "Claim", 60, "blue", "ring"),
    ("claiming", "claiming", "Claim", 75, "amber", "triangle"),
    ("activating", "claiming", "Claim", 90, "amber", "triangle"),
    ("operational", "operational", "Running", 100, "green", "circle"),
    ("updating", "operational", "Running", 100, "amber", "triangle"),
    ("reconnecting", "operational", "Running", 100, "amber", "triangle"),
    ("error", "error", "Failed", 0, "red", "square"),
    ("halted", "halted", "Stopped", 0, "red", "square"),
]


@pytest.mark.parametrize(("state", "phase", "word", "progress", "colour", "shape"), SEEN)
def test_a_state_is_seen_as_the_table_says(
    state: str, phase: str, word: str, progress: int, colour: str, shape: str
) -> None:
    view = view_of(State(state))
    assert (view.phase, view.word, view.progress) == (phase, word, progress)
    assert (view.tone.colour, view.tone.shape) == (colour, shape)


def test_every_state_is_in_the_table() -> None:
    assert [row[0] for row in SEEN] == list(State)


def test_the_stepper_has_the_four_words_in_order() -> None:
    assert [WORDS[phase] for phase in STEPS] == ["Set up", "Connect", "Claim", "Running"]
    assert set(WORDS) == set(Phase)


def test_no_two_tones_share_a_colour_or_a_shape() -> None:
    assert len({tone.colour for tone in Tone}) == len({tone.shape for tone in Tone}) == len(Tone)


def test_progress_never_falls_on_the_way_from_power_on_to_running() -> None:
    way = [row[3] for row in SEEN[: SEEN.index(SEEN[8]) + 1]]
    assert way == sorted(set(way))
