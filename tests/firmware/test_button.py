"""The button: what a press means, and the driver on a real pipe that carries the kernel's input events."""

import asyncio
import os
import struct
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import cast

import pytest

import firmware.button
from firmware.button import EvdevButton, NoButton, Press, PressClassifier, classify
from firmware.errors import ButtonUnavailable

KEY_RESTART, KEY_POWER = 0x198, 116
EV_SYN, EV_KEY = 0, 1


@pytest.mark.parametrize(
    ("seconds", "press"),
    [
        (0.0, None),
        (0.049, None),
        (0.05, Press.SHORT),
        (2.0, Press.SHORT),
        (2.01, None),
        (9.99, None),
        (10.0, Press.LONG),
        (29.99, Press.LONG),
        (30.0, None),
        (86_400.0, None),
    ],
)
def test_a_press_means_what_its_length_says(seconds: float, press: Press | None) -> None:
    assert classify(seconds) is press


def test_a_press_counts_when_the_button_is_let_go() -> None:
    button = PressClassifier()
    assert button.change(pressed=True, at=100.0) is None
    assert button.change(pressed=False, at=111.0) is Press.LONG


def test_chatter_before_a_press_does_not_shorten_it() -> None:
    button = PressClassifier()
    assert button.change(pressed=True, at=0.0) is None
    assert button.change(pressed=True, at=0.001) is None
    assert button.change(pressed=False, at=1.0) is Press.SHORT


def test_a_button_held_while_the_program_starts_does_nothing() -> None:
    assert PressClassifier().change(pressed=False, at=12.0) is None


def test_while_the_button_is_held_one_can_ask_what_letting_go_would_do() -> None:
    button = PressClassifier()
    assert button.armed(1.0) is None
    button.change(pressed=True, at=0.0)
    assert [button.armed(at) for at in (1.0, 5.0, 10.0, 31.0)] == [Press.SHORT, None, Press.LONG, None]
    button.change(pressed=False, at=32.0)
    assert button.armed(33.0) is None


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A named pipe in place of /dev/input/event0, and the end that the kernel writes to."""
    path = tmp_path / "event0"
    os.mkfifo(path)
    keeper = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    yield path, keeper
    os.close(keeper)


def event(kind: int, code: int, value: int) -> bytes:
    return struct.pack("@llHHi", 0, 0, kind, code, value)


def press_and_let_go(code: int = KEY_RESTART) -> tuple[bytes, bytes]:
    down = event(EV_KEY, code, 1) + event(EV_SYN, 0, 0) + event(EV_KEY, code, 2) + event(EV_SYN, 0, 0)
    return down, event(EV_KEY, code, 0) + event(EV_SYN, 0, 0)


async def next_press(button: EvdevButton, sent: int, *parts: bytes) -> Press:
    """Send the parts 0.1 s apart, each long enough for no bounce, and wait for the first press."""

    async def send() -> None:
        for part in parts:
            await asyncio.sleep(0.1)
            os.write(sent, part)

    presses = cast("AsyncGenerator[Press, None]", button.presses())
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(send())
        press = await anext(presses)
    await presses.aclose()
    return press


async def test_the_kernels_events_become_a_press(pipe: tuple[Path, int]) -> None:
    path, kernel = pipe
    assert await next_press(EvdevButton(path), kernel, *press_and_let_go()) is Press.SHORT


async def test_another_key_of_the_same_device_is_ignored(pipe: tuple[Path, int]) -> None:
    path, kernel = pipe
    other, ours = press_and_let_go(KEY_POWER), press_and_let_go()
    press = await next_press(EvdevButton(path, KEY_RESTART), kernel, *other, *ours)
    assert press is Press.SHORT


async def test_while_the_button_is_held_the_light_hears_what_letting_go_would_do(
    pipe: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firmware.button, "SHORT_MOST", 0.3)
    monkeypatch.setattr(firmware.button, "LONG_LEAST", 0.6)
    path, kernel = pipe
    down, up = press_and_let_go()
    told: asyncio.Queue[Press | None] = asyncio.Queue()
    presses = cast("AsyncGenerator[Press, None]", EvdevButton(path, armed=told.put_nowait).presses())
    waiting = asyncio.ensure_future(anext(presses))
    os.write(kernel, down)
    async with asyncio.timeout(10):
        heard = [await told.get()]
        while heard[-1] is not Press.LONG:
            heard.append(await told.get())
        os.write(kernel, up)
        assert await waiting is Press.LONG
        listening = asyncio.ensure_future(anext(presses))
        heard.append(await told.get())
    assert heard[-2:] == [Press.LONG, None]
    listening.cancel()


async def test_a_button_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ButtonUnavailable, match="cannot be read: No such file") as refusal:
        await anext(aiter(EvdevButton(tmp_path / "event9").presses()))
    assert refusal.value.code == "HW-002"


async def test_a_button_that_goes_away_is_reported_and_not_spun_on(tmp_path: Path) -> None:
    path = tmp_path / "event0"
    os.mkfifo(path)
    kernel = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    waiting = asyncio.ensure_future(anext(aiter(EvdevButton(path).presses())))
    await asyncio.sleep(0.1)
    os.close(kernel)
    with pytest.raises(ButtonUnavailable, match="went away"):
        await asyncio.wait_for(waiting, 10)


async def test_a_board_without_a_button_waits_in_peace() -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(aiter(NoButton().presses())), 0.01)
