"""The LED driver on a tree of files that is laid out like /sys/class/leds."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from firmware.errors import LedUnavailable
from firmware.led import NoLed, SysfsLed, find_channels
from firmware.pattern import (
    CLAIMING,
    CONNECTING,
    LOCATE,
    OPERATIONAL,
    WAITING_FOR_USER,
    Colour,
    Pattern,
    Shape,
)

THREE = {"red": "red:status", "green": "green:status", "blue": "blue:status"}


def make_led(root: Path, name: str, most: int = 255, trigger: str = "none [mmc0] timer") -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "brightness").write_text("0\n")
    (folder / "max_brightness").write_text(f"{most}\n")
    (folder / "trigger").write_text(trigger)
    return folder


@pytest.fixture
def three(tmp_path: Path) -> Path:
    for name in THREE.values():
        make_led(tmp_path, name)
    return tmp_path


def steady(colour: Colour) -> Pattern:
    return Pattern("test", colour, Shape.CIRCLE, ((1.0, 0.0),), "")


def shining(root: Path, names: Mapping[str, str] = THREE) -> set[str]:
    return {
        channel for channel, name in names.items() if (root / name / "brightness").read_text().strip() != "0"
    }


@contextlib.asynccontextmanager
async def running(led: SysfsLed) -> AsyncIterator[None]:
    task = asyncio.create_task(led.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - a file has no event to wait for
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("colour", "channels"),
    [
        (Colour.RED, {"red"}),
        (Colour.AMBER, {"red", "green"}),
        (Colour.GREEN, {"green"}),
        (Colour.BLUE, {"blue"}),
        (Colour.WHITE, {"red", "green", "blue"}),
    ],
)
async def test_a_colour_is_mixed_from_its_channels(colour: Colour, channels: set[str], three: Path) -> None:
    led = SysfsLed(three, THREE)
    async with running(led):
        led.show(steady(colour))
        await until(lambda: shining(three) == channels)


async def test_a_new_pattern_takes_over_at_once_even_from_a_steady_one(three: Path) -> None:
    led = SysfsLed(three, THREE)
    async with running(led):
        led.show(OPERATIONAL)
        await until(lambda: shining(three) == {"green"})
        led.show(steady(Colour.BLUE))
        await until(lambda: shining(three) == {"blue"})


async def test_a_light_blinks_on_and_off_and_on_again(three: Path) -> None:
    led = SysfsLed(three, THREE)
    async with running(led):
        led.show(CONNECTING)
        for expected in ({"red", "green"}, set(), {"red", "green"}, set()):
            await until(lambda expected=expected: shining(three) == expected)  # type: ignore[misc]


async def test_a_light_with_red_and_green_only_shows_every_rhythm_it_cannot_mix(tmp_path: Path) -> None:
    two = {"red": "red:status", "green": "green:status"}
    for name in two.values():
        make_led(tmp_path, name)
    led = SysfsLed(tmp_path, two)
    async with running(led):
        led.show(WAITING_FOR_USER)
        await until(lambda: shining(tmp_path, two) == {"red", "green"})
        await until(lambda: shining(tmp_path, two) == set())


@pytest.mark.parametrize("pattern", [OPERATIONAL, WAITING_FOR_USER, CLAIMING, LOCATE])
async def test_a_single_light_of_one_colour_shows_every_pattern(pattern: Pattern, tmp_path: Path) -> None:
    make_led(tmp_path, "ACT", most=1)
    led = SysfsLed(tmp_path, find_channels(tmp_path))
    async with running(led):
        led.show(pattern)
        await until(lambda: (tmp_path / "ACT/brightness").read_text() == "1")


async def test_a_light_shines_as_bright_as_the_board_can(tmp_path: Path) -> None:
    make_led(tmp_path, "ACT", most=15)
    led = SysfsLed(tmp_path, {"any": "ACT"})
    async with running(led):
        led.show(OPERATIONAL)
        await until(lambda: (tmp_path / "ACT/brightness").read_text() == "15")


async def test_the_kernels_own_use_of_the_light_is_paused_and_given_back(tmp_path: Path) -> None:
    folder = make_led(tmp_path, "ACT", trigger="none [heartbeat] mmc0")
    led = SysfsLed(tmp_path, {"any": "ACT"})
    assert (folder / "trigger").read_text() == "none"
    async with running(led):
        led.show(OPERATIONAL)
        await until(lambda: (folder / "brightness").read_text() == "255")
    assert (folder / "trigger").read_text() == "heartbeat"
    assert (folder / "brightness").read_text() == "0"


async def test_a_light_that_breaks_is_reported_once_and_works_again_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_led(tmp_path, "ACT")
    led = SysfsLed(tmp_path, {"any": "ACT"})
    caplog.set_level(logging.WARNING)
    (folder / "brightness").unlink()
    (folder / "brightness").mkdir()
    async with running(led):
        led.show(Pattern("fast", Colour.RED, Shape.SQUARE, ((0.01, 0.01),), ""))
        await until(lambda: bool(caplog.records))
        await asyncio.sleep(0.1)
        assert len(caplog.records) == 1
        (folder / "brightness").rmdir()
        await until(
            lambda: (folder / "brightness").is_file() and (folder / "brightness").read_text() == "255"
        )


def test_a_light_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedUnavailable, match="ACT cannot be driven: No such file") as refusal:
        SysfsLed(tmp_path, {"any": "ACT"})
    assert refusal.value.code == "HW-001"


def test_no_light_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedUnavailable, match="There is no LED"):
        SysfsLed(tmp_path, find_channels(tmp_path))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["ACT", "PWR"], {"any": "ACT"}),
        (["led0", "led1"], {"any": "led0"}),
        (["mmc0::", "default-on"], {"any": "mmc0::"}),
        (["PWR"], {}),
        ([], {}),
        (["ACT", "red:status", "green:status", "blue:status"], THREE),
        (
            ["meteor:red:status", "meteor:green:status", "ACT"],
            {"red": "meteor:red:status", "green": "meteor:green:status"},
        ),
        (["red:disk", "input3::capslock", "ACT"], {"any": "ACT"}),
    ],
)
def test_the_right_lights_are_found(names: list[str], found: dict[str, str], tmp_path: Path) -> None:
    for name in names:
        make_led(tmp_path, name)
    assert find_channels(tmp_path) == found


def test_a_machine_without_the_folder_has_no_lights(tmp_path: Path) -> None:
    assert find_channels(tmp_path / "leds") == {}


async def test_a_board_without_a_light_runs_all_the_same() -> None:
    led = NoLed()
    led.show(OPERATIONAL)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(led.run(), 0.01)
