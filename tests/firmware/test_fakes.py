"""The fakes: they remember, they tell, and they fit the ports that they stand in for."""

import asyncio
from collections.abc import AsyncGenerator
from typing import cast

import pytest

from firmware.button import Button, Press
from firmware.clock import Clock, ClockQuality, Source
from firmware.display import Card, Display
from firmware.fakes import (
    FakeButton,
    FakeClock,
    FakeDisplay,
    FakeLed,
    FakeReset,
    FakeSound,
    FakeWatchdog,
)
from firmware.led import Led
from firmware.pattern import OPERATIONAL, UPDATING, Pattern
from firmware.reset import Extent, Reset, plan_reset
from firmware.sound import Cue, Sound
from firmware.watchdog import Watchdog

CARD = Card("BCDFGH", "493027", "https://cloud.example/claim#x")


def test_every_fake_fits_its_port() -> None:
    # the type checker does the work; a fake that misses a method fails here as well
    led: Led = FakeLed()
    button: Button = FakeButton()
    display: Display = FakeDisplay()
    sound: Sound = FakeSound()
    watchdog: Watchdog = FakeWatchdog()
    clock: Clock = FakeClock()
    reset: Reset = FakeReset()
    for fake, port in (
        (led, Led),
        (button, Button),
        (display, Display),
        (sound, Sound),
        (watchdog, Watchdog),
        (clock, Clock),
        (reset, Reset),
    ):
        for name in (each for each in vars(port) if not each.startswith("_")):
            assert hasattr(fake, name), (port, name)


def test_an_observer_hears_everything_until_it_leaves() -> None:
    led, heard = FakeLed(), list[Pattern]()
    leave = led.observe(heard.append)
    led.show(UPDATING)
    leave()
    led.show(OPERATIONAL)
    assert heard == [UPDATING]
    assert led.history == [UPDATING, OPERATIONAL]


def test_an_observer_may_leave_while_it_is_told() -> None:
    led, heard = FakeLed(), list[str]()

    def once(pattern: Pattern) -> None:
        heard.append(pattern.name)
        leave()

    leave = led.observe(once)
    led.observe(lambda pattern: heard.append(f"second: {pattern.name}"))
    led.show(UPDATING)
    led.show(OPERATIONAL)
    assert heard == ["updating", "second: updating", "second: operational"]


async def test_a_fake_button_is_pressed_from_outside() -> None:
    button = FakeButton()
    button.press(Press.SHORT)
    button.press(Press.LONG)
    presses = cast("AsyncGenerator[Press, None]", button.presses())
    assert [await anext(presses), await anext(presses)] == [Press.SHORT, Press.LONG]
    assert button.history == [Press.SHORT, Press.LONG]
    await presses.aclose()


def test_a_fake_display_shows_the_last_thing() -> None:
    display = FakeDisplay()
    assert display.shown is None
    display.show_card(CARD)
    assert display.shown == CARD
    display.show_status(iter(["Running", "3 events waiting"]))
    assert display.shown == ("Running", "3 events waiting")
    display.clear()
    assert display.history == [CARD, ("Running", "3 events waiting"), None]


async def test_a_fake_loudspeaker_remembers_cues_and_words() -> None:
    sound = FakeSound()
    await sound.play(Cue.READY)
    await sound.speak("4 9 3, 0 2 7")
    assert sound.history == [Cue.READY, "4 9 3, 0 2 7"]


def test_a_fake_service_manager_remembers_what_it_is_told() -> None:
    watchdog = FakeWatchdog(interval=5.0)
    watchdog.ready("Starting")
    watchdog.ready()
    watchdog.alive()
    watchdog.status("Running")
    watchdog.stopping()
    assert watchdog.history == ["ready: Starting", "ready", "alive", "status: Running", "stopping"]
    assert watchdog.interval == 5.0


async def test_a_fake_reset_remembers_its_plans() -> None:
    reset = FakeReset()
    assert await reset.run(Extent.ALL) == plan_reset(Extent.ALL)
    assert await reset.finish_pending() is None
    assert reset.history == [plan_reset(Extent.ALL)]


async def test_sleepers_wake_in_order_each_at_its_own_time() -> None:
    clock, woken = FakeClock(wall=1000.0), list[tuple[str, float, float]]()

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            woken.append((name, clock.monotonic(), clock.wall()))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("late", 3.0))
        group.create_task(sleeper("often", 1.0, 1.0, 1.5))
        await clock.advance(2.5)
        assert woken == [("often", 1.0, 1001.0), ("often", 2.0, 1002.0)]
        assert clock.monotonic() == 2.5
        await clock.advance(10.0)
    assert woken[2:] == [("late", 3.0, 1003.0), ("often", 3.5, 1003.5)]
    assert (clock.monotonic(), clock.wall()) == (12.5, 1012.5)


async def test_a_cancelled_sleeper_does_not_disturb_the_others() -> None:
    clock = FakeClock()
    cancelled = asyncio.create_task(clock.sleep(1.0))
    other = asyncio.create_task(clock.sleep(2.0))
    await asyncio.sleep(0)
    cancelled.cancel()
    await clock.advance(3.0)
    assert cancelled.cancelled()
    assert other.done()
    assert other.exception() is None


async def test_a_sleep_of_no_length_ends_by_itself() -> None:
    await asyncio.wait_for(FakeClock().sleep(0), 5)


def test_setting_the_wall_clock_moves_no_duration() -> None:
    clock = FakeClock(wall=1000.0)
    clock.set_wall(5000.0, ClockQuality(False, Source.UNKNOWN, None))
    assert (clock.wall(), clock.monotonic(), clock.boottime()) == (5000.0, 0.0, 0.0)
    assert not clock.quality().synchronized
    assert clock.history == [5000.0]


def test_suspended_time_passes_on_the_wall_and_since_boot_only() -> None:
    clock = FakeClock(wall=1000.0)
    clock.suspend(60.0)
    assert (clock.wall(), clock.monotonic(), clock.boottime()) == (1060.0, 0.0, 60.0)


async def test_after_a_power_cut_the_clock_is_another_one() -> None:
    clock = FakeClock()
    await clock.advance(100.0)
    clock.reboot("boot-2", wall=0.0)
    assert (clock.boot_id, clock.monotonic(), clock.boottime(), clock.wall()) == ("boot-2", 0.0, 0.0, 0.0)
    assert clock.quality() == ClockQuality(False, Source.UNKNOWN, None)


async def test_a_fake_light_keeps_running_until_it_is_cancelled() -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(FakeLed().run(), 0.01)
