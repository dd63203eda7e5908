"""The light language: its table, and the rules that make it readable."""

from itertools import combinations

import pytest

from firmware.pattern import OF_STATE, PATTERNS, Colour, Pattern, Shape, pattern_for
from statemachine.lifecycle import State
from statemachine.phase import Tone, view_of

TABLE = [
    ("uninitialized", "booting", "red", "triangle"),
    ("initializing", "initializing", "amber", "triangle"),
    ("setup", "waiting_for_user", "blue", "ring"),
    ("configuring", "waiting_for_user", "blue", "ring"),
    ("connecting", "connecting", "amber", "triangle"),
    ("network_ready", "ready_to_register", "green", "ring"),
    ("claiming", "claiming", "amber", "triangle"),
    ("activating", "claiming", "amber", "triangle"),
    ("operational", "operational", "green", "circle"),
    ("updating", "updating", "amber", "triangle"),
    ("reconnecting", "reconnecting", "amber", "triangle"),
    ("error", "error", "red", "square"),
    ("halted", "halted", "red", "square"),
]
# where the specification fixes a colour that the tone of the state would not have
SPECIFIED_COLOURS = {"uninitialized": "red", "network_ready": "green"}

STEP = 0.05  # seconds; every rhythm is made of multiples of it


def seen(pattern: Pattern, start: float = 0.0, seconds: float = 24.0) -> list[bool]:
    """What a person without colour vision sees of a pattern, in steps."""
    return [pattern.lit(start + (step + 0.5) * STEP) for step in range(round(seconds / STEP))]


@pytest.mark.parametrize(("state", "name", "colour", "shape"), TABLE)
def test_a_state_shines_as_the_table_says(state: str, name: str, colour: str, shape: str) -> None:
    pattern = pattern_for(state)
    assert (pattern.name, pattern.colour, pattern.shape) == (name, colour, shape)


def test_every_state_of_the_machine_has_its_light() -> None:
    assert list(OF_STATE) == [row[0] for row in TABLE] == list(State)


def test_the_start_shines_red_then_yellow_then_green_as_specified() -> None:
    start = [pattern_for(state).colour for state in ("uninitialized", "initializing", "network_ready")]
    assert start == [Colour.RED, Colour.AMBER, Colour.GREEN]


@pytest.mark.parametrize("state", State)
def test_the_light_has_the_shape_and_mostly_the_colour_of_the_page(state: State) -> None:
    pattern, tone = pattern_for(state), view_of(state).tone
    assert pattern.shape == tone.shape
    assert pattern.colour == SPECIFIED_COLOURS.get(state, tone.colour)


def test_every_shape_of_the_light_is_a_shape_of_the_pages() -> None:
    assert {str(shape) for shape in Shape} == {tone.shape for tone in Tone} - {Tone.UNKNOWN.shape}


@pytest.mark.parametrize("state", State)
def test_someone_who_looks_for_the_station_finds_it_in_every_state(state: State) -> None:
    assert pattern_for(state, locate=True).name == "locate"
    assert pattern_for(state, locate=True, degraded=True).name == "locate"


@pytest.mark.parametrize("state", State)
def test_only_a_running_station_can_look_degraded(state: State) -> None:
    expected = "degraded" if state == "operational" else pattern_for(state).name
    assert pattern_for(state, degraded=True).name == expected


@pytest.mark.parametrize("name", ["", "OPERATIONAL", "hibernating"])
def test_a_name_that_is_no_state_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no light pattern"):
        pattern_for(name)


@pytest.mark.parametrize(("one", "other"), list(combinations(PATTERNS, 2)), ids=lambda pattern: pattern.name)
def test_two_patterns_differ_to_the_eye_without_any_colour(one: Pattern, other: Pattern) -> None:
    steady = seen(one)
    shifts = round(other.period / STEP)
    differing = [
        sum(a != b for a, b in zip(steady, seen(other, shift * STEP), strict=True)) for shift in range(shifts)
    ]
    # whenever one begins to look: at least two seconds of every 24 are not as the other pattern would have it
    assert min(differing) * STEP >= 2.0


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_no_pattern_flashes_more_than_three_times_within_a_second(pattern: Pattern) -> None:
    light = seen(pattern)
    starts = [place for place in range(1, len(light)) if light[place] and not light[place - 1]]
    window = round(1.0 / STEP)
    assert max((sum(first <= each < first + window for each in starts) for first in starts), default=0) <= 3


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_a_pattern_can_be_said_in_words_that_begin_with_what_one_sees(pattern: Pattern) -> None:
    colour = {"amber": "Yellow"}.get(pattern.colour, pattern.colour.capitalize())
    assert pattern.spoken.startswith(f"{colour}")
    assert pattern.spoken.endswith(".")


def test_names_and_rhythms_are_unique() -> None:
    assert len({pattern.name for pattern in PATTERNS}) == len(PATTERNS)
    assert len({pattern.blink for pattern in PATTERNS}) == len(PATTERNS)
    assert set(OF_STATE.values()) <= set(PATTERNS)


@pytest.mark.parametrize(
    ("at", "lit"),
    [(0.0, True), (0.89, True), (0.9, False), (1.19, False), (1.2, True), (1.45, False), (2.0, True)],
)
def test_a_rhythm_is_followed_and_begins_anew(at: float, lit: bool) -> None:
    assert pattern_for("network_ready").lit(at) is lit


def test_only_a_running_station_shines_without_a_break() -> None:
    assert [pattern.name for pattern in PATTERNS if pattern.steady] == ["operational"]
    assert all(seen(pattern_for("operational")))
