"""The button: what a press means, the port, the driver for a Linux input device; not what it sets off.

A press acts on release. So a person who held the button by mistake can hold on past the end, and the LED can
show beforehand what letting go will do.
"""

import asyncio
import contextlib
import os
import struct
from collections.abc import AsyncIterator, Callable
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from firmware.errors import ButtonUnavailable

BOUNCE = 0.05
"""Seconds below which a contact is chatter and no press."""
SHORT_MOST = 2.0
"""Longest short press, in seconds."""
LONG_LEAST = 10.0
"""Shortest long press, in seconds. Between short and long nothing happens: the way out."""
STUCK = 30.0
"""From here on nobody presses: a cable or a branch lies on the button, and that must not wipe a station."""
LOOK_AGAIN = 0.25
"""Seconds between two looks at a button that is held."""


class Press(StrEnum):
    """What a person did."""

    SHORT = "short"
    """Show yourself: locate, show the card, say the PIN."""
    LONG = "long"
    """Factory reset."""


def classify(seconds: float) -> Press | None:
    """What a press of that length means, or None for nothing."""
    if BOUNCE <= seconds <= SHORT_MOST:
        return Press.SHORT
    if LONG_LEAST <= seconds < STUCK:
        return Press.LONG
    return None


class PressClassifier:
    """Makes presses of the contact's closing and opening. Times are the caller's monotonic seconds."""

    def __init__(self) -> None:
        self._since: float | None = None

    def change(self, *, pressed: bool, at: float) -> Press | None:
        """Take note of a change and return the press it completes.

        An opening without a closing, as when the button was held while the program started, is no press.
        """
        if pressed:
            self._since = at if self._since is None else self._since
            return None
        since, self._since = self._since, None
        return None if since is None else classify(at - since)

    @property
    def held(self) -> bool:
        """Whether the button is down."""
        return self._since is not None

    def armed(self, at: float) -> Press | None:
        """What letting go at this moment would mean, so that a light can say so."""
        return None if self._since is None else classify(at - self._since)


class Button(Protocol):
    """Something that people press."""

    def presses(self) -> AsyncIterator[Press]:
        """The presses as they happen, for as long as someone listens."""


class NoButton:
    """For a board without a button."""

    async def presses(self) -> AsyncIterator[Press]:
        """Wait until cancelled; nothing ever comes."""
        await asyncio.Event().wait()
        yield Press.SHORT


# struct input_event of <linux/input.h>: a timeval (two longs), type, code, value
_EVENT = struct.Struct("@llHHi")
_EV_KEY = 1
_RELEASED, _PRESSED = 0, 1


class EvdevButton:
    """A button behind the kernel's `gpio-keys` driver, read from /dev/input/event*.

    The kernel's own time stamps are wall time on most boards; so the moment of reading counts, on the loop's
    monotonic clock.
    """

    def __init__(
        self, device: Path, key: int | None = None, *, armed: Callable[[Press | None], None] | None = None
    ) -> None:
        """`key` is the code to listen to (<linux/input-event-codes.h>); None takes every key.

        `armed` is told, while the button is held, what letting go would now mean, and None in the end.
        """
        self._device = device
        self._key = key
        self._tell_armed = armed
        self._armed: Press | None = None

    async def presses(self) -> AsyncIterator[Press]:
        """The presses; raise `ButtonUnavailable` if the device cannot be opened or goes away."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        descriptor = self._open()
        classifier = PressClassifier()
        try:
            loop.add_reader(descriptor, readable.set)
            while True:
                await _set_or_late(readable, LOOK_AGAIN if classifier.held else None)
                for pressed in self._changes(descriptor):
                    press = classifier.change(pressed=pressed, at=loop.time())
                    if press is not None:
                        yield press
                self._arm(classifier.armed(loop.time()))
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def _arm(self, armed: Press | None) -> None:
        if armed is not self._armed and self._tell_armed is not None:
            self._tell_armed(armed)
        self._armed = armed

    def _open(self) -> int:
        try:
            return os.open(self._device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise ButtonUnavailable(f"The button {self._device} cannot be read: {error.strerror}.") from error

    def _changes(self, descriptor: int) -> list[bool]:
        """The closings (True) and openings (False) that wait to be read; repeats are left out."""
        try:
            data = os.read(descriptor, 64 * _EVENT.size)
        except BlockingIOError:
            return []
        except OSError as error:
            raise ButtonUnavailable(f"The button {self._device} went away: {error.strerror}.") from error
        if not data:
            raise ButtonUnavailable(f"The button {self._device} went away.")
        whole = len(data) - len(data) % _EVENT.size
        return [
            value == _PRESSED
            for _, _, kind, code, value in _EVENT.iter_unpack(data[:whole])
            if kind == _EV_KEY and value in (_RELEASED, _PRESSED) and self._key in (None, code)
        ]


async def _set_or_late(event: asyncio.Event, seconds: float | None) -> None:
    """Wait for the event, though no longer than so many seconds, and clear it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    event.clear()
