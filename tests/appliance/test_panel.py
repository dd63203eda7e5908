"""Light, display and sound together, on the fakes that the product ships."""

from __future__ import annotations

import asyncio

import pytest

from appliance.identity.card import Card
from appliance.panel import LOCATE_S, Panel
from firmware.display import Card as ShownCard
from firmware.display import card_text
from firmware.errors import SoundUnavailable
from firmware.fakes import FakeClock, FakeDisplay, FakeLed, FakeSound
from firmware.sound import Cue
from statemachine.lifecycle import EDGES, Edge, State, Transition, Trigger
from tests.appliance.workshop import running, until

CARD = Card("BCDFGH", "123456", "s" * 22)


class World:
    """A panel and all that it drives."""

    def __init__(self) -> None:
        self.led, self.display, self.sound, self.clock = FakeLed(), FakeDisplay(), FakeSound(), FakeClock()
        self.panel = Panel(self.led, self.display, self.sound, self.clock, lambda: "739105")

    def step(self, source: State, trigger: Trigger, target: State) -> None:
        self.panel.follow(Transition(source, trigger, target))

    @property
    def light(self) -> str:
        assert self.led.pattern is not None
        return self.led.pattern.name


@pytest.mark.parametrize("edge", EDGES)
def test_every_step_of_the_machine_has_a_light(edge: Edge) -> None:
    world = World()
    world.step(edge.source, edge.trigger, edge.target)
    assert world.led.pattern == world.panel.pattern


def test_a_station_that_starts_is_seen_at_once() -> None:
    assert World().light == "booting"


def test_a_running_station_that_holds_things_back_says_so() -> None:
    world = World()
    world.step(State.ACTIVATING, Trigger.ACTIVATED, State.OPERATIONAL)
    assert world.light == "operational"
    world.panel.degraded(True)
    assert world.light == "degraded"
    world.panel.degraded(False)
    assert world.light == "operational"


async def test_locating_outshines_everything_for_a_while() -> None:
    world = World()
    world.panel.locate()
    assert world.light == "locate"
    await world.clock.advance(LOCATE_S + 1)
    world.step(State.UNINITIALIZED, Trigger.POWER_ON, State.INITIALIZING)
    assert world.light == "initializing"


def test_the_card_is_shown_once_and_taken_away_by_the_claim() -> None:
    world = World()
    assert world.panel.show_card(CARD, "https://cloud.example") is True
    assert world.panel.show_card(CARD, "https://cloud.example") is False
    assert len(world.display.history) == 1
    world.step(State.CLAIMING, Trigger.CLAIM_SUCCEEDED, State.ACTIVATING)
    assert world.display.shown is None


def test_a_running_station_shows_where_its_pages_are_and_follows_a_new_address() -> None:
    world = World()
    world.panel.show_pages("http://192.168.1.40/", "")
    assert world.display.shown is None, "the claim card comes first"
    world.step(State.ACTIVATING, Trigger.ACTIVATED, State.OPERATIONAL)
    world.panel.show_pages("http://192.168.1.41/", "http://meteor-kxpmvt.local/")
    world.panel.show_pages("http://192.168.1.41/", "http://meteor-kxpmvt.local/")
    first, second = (each for each in world.display.history if isinstance(each, tuple))
    assert (first[-2:], len(world.display.history)) == (
        ("Pages: http://192.168.1.40/", "http://192.168.1.40/"),
        2,
    )
    assert second[-3:] == (
        "Pages: http://192.168.1.41/",
        "or:    http://meteor-kxpmvt.local/",
        "http://192.168.1.41/",
    ), "the last is the QR code"


async def test_sounds_follow_what_a_person_waits_for_and_nothing_else() -> None:
    world = World()
    async with running(world.panel.run):
        world.step(State.UNINITIALIZED, Trigger.POWER_ON, State.INITIALIZING)
        world.step(State.CONNECTING, Trigger.CONNECTED, State.NETWORK_READY)
        world.step(State.ACTIVATING, Trigger.ACTIVATED, State.OPERATIONAL)
        await until(lambda: len(world.sound.history) == 3)
        world.step(State.RECONNECTING, Trigger.RECONNECTED, State.OPERATIONAL)
        world.step(State.UPDATING, Trigger.UPDATE_APPLIED, State.OPERATIONAL)
        world.step(State.OPERATIONAL, Trigger.RUNNING, State.OPERATIONAL)
        await asyncio.sleep(0.02)
    assert world.sound.history == [Cue.START, Cue.READY, Cue.SUCCESS]


async def test_a_loudspeaker_that_fails_does_not_stop_the_light(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    world = World()

    async def fail(_cue: Cue) -> None:
        raise SoundUnavailable("no loudspeaker")

    monkeypatch.setattr(world.sound, "play", fail)
    async with running(world.panel.run):
        world.step(State.UNINITIALIZED, Trigger.POWER_ON, State.INITIALIZING)
        await until(lambda: "no sound" in caplog.text)
        world.step(State.INITIALIZING, Trigger.HARDWARE_FAILED, State.ERROR)
    assert world.light == "error"


def test_many_steps_at_once_never_wait_for_a_sound() -> None:
    world = World()
    for _ in range(50):
        world.step(State.UNINITIALIZED, Trigger.POWER_ON, State.INITIALIZING)
    assert world.light == "initializing"


def test_the_display_tells_the_technicians_pin_to_whoever_stands_there() -> None:
    world = World()
    world.panel.show_card(CARD, "https://cloud.example.org")
    shown = world.display.shown
    assert isinstance(shown, ShownCard)
    assert "Technician's PIN  739 105" in card_text(shown, coloured=False)
    assert "739105" not in repr(shown)
    world.step(State.ACTIVATING, Trigger.ACTIVATED, State.OPERATIONAL)
    assert world.display.shown == ("Meteor station: Running", "Technician's PIN: 739 105")
