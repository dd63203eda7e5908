"""The LED: the port, and the driver for what the kernel lists in /sys/class/leds; patterns live elsewhere.

The driver blinks by itself instead of handing the rhythm to the kernel: a program that hangs then stops
blinking, and people see it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from firmware.errors import LedUnavailable
from firmware.pattern import Colour, Pattern

log = logging.getLogger(__name__)

SYSFS = Path("/sys/class/leds")

CHANNELS: Mapping[Colour, frozenset[str]] = {
    Colour.RED: frozenset({"red"}),
    Colour.AMBER: frozenset({"red", "green"}),
    Colour.GREEN: frozenset({"green"}),
    Colour.BLUE: frozenset({"blue"}),
    Colour.WHITE: frozenset({"red", "green", "blue"}),
}
"""Which of the three primary colours make each colour of a pattern."""

STEADY = 60.0
"""Seconds after which a steady light is set anew, in case it could not be set before."""

ACTIVITY_LEDS = ("ACT", "led0", "mmc0::")
"""The names under which Raspberry Pi kernels have listed the green activity LED; PWR is never touched."""


class Led(Protocol):
    """Something that can show a pattern."""

    def show(self, pattern: Pattern) -> None:
        """Show `pattern` from now on; return at once."""

    async def run(self) -> None:
        """Keep the light moving until cancelled; one task runs this for as long as the program lives."""


class SysfsLed:
    """One visible LED made of one to three kernel LEDs; a single one shows the rhythm alone."""

    def __init__(self, root: Path, channels: Mapping[str, str]) -> None:
        """`channels` maps "red", "green", "blue" or "any" to names below `root`.

        Raise `LedUnavailable` if one of them cannot be written.
        """
        if not channels:
            raise LedUnavailable(f"There is no LED in {root}.")
        self._lights = {channel: _Light(root / name) for channel, name in channels.items()}
        self._pattern: Pattern | None = None
        self._changed = asyncio.Event()
        self._failing = False

    def show(self, pattern: Pattern) -> None:
        """Show `pattern` from now on. The same pattern again does not restart its rhythm."""
        if pattern != self._pattern:
            self._pattern = pattern
            self._changed.set()

    async def run(self) -> None:
        """Blink until cancelled, then give the LEDs back to the kernel as they were found."""
        try:
            while True:
                self._changed.clear()
                if self._pattern is None:
                    await self._changed.wait()
                else:
                    await self._blink(self._pattern)
        finally:
            for light in self._lights.values():
                light.give_back()

    async def _blink(self, pattern: Pattern) -> None:
        """Show one round of the pattern, or less if another one is asked for."""
        for on, off in pattern.blink:
            for lit, seconds in ((True, on), (False, off)):
                if seconds and await self._held(pattern, lit, STEADY if pattern.steady else seconds):
                    return

    async def _held(self, pattern: Pattern, lit: bool, seconds: float) -> bool:
        """Hold the light for so long; True as soon as another pattern is asked for."""
        self._light(pattern.colour if lit else None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
            return True
        return False

    def _light(self, colour: Colour | None) -> None:
        try:
            for channel, light in self._lights.items():
                light.set(on=colour is not None and self._needs(colour, channel))
        except OSError as error:
            if not self._failing:
                log.warning("The LED does not answer any more: %s", error)
            self._failing = True
        else:
            self._failing = False

    def _needs(self, colour: Colour, channel: str) -> bool:
        """Whether `channel` shines for `colour`; what the LED cannot mix is shown by all that it has."""
        possible = CHANNELS[colour] <= self._lights.keys()
        return channel in CHANNELS[colour] if possible else True


class _Light:
    """One folder of /sys/class/leds."""

    def __init__(self, folder: Path) -> None:
        self._brightness = folder / "brightness"
        self._trigger = folder / "trigger"
        try:
            self._most = (folder / "max_brightness").read_text().strip()
            self._found = _active_trigger(self._trigger.read_text())
            self._trigger.write_text("none")
        except OSError as error:
            raise LedUnavailable(f"The LED {folder.name} cannot be driven: {error.strerror}.") from error
        self._on: bool | None = None

    def set(self, *, on: bool) -> None:
        """Switch the light, without a write where nothing changes."""
        if on != self._on:
            self._brightness.write_text(self._most if on else "0")
            self._on = on

    def give_back(self) -> None:
        """Let the kernel's own trigger drive the light again; a board without it is left dark."""
        with contextlib.suppress(OSError):
            self._brightness.write_text("0")
            self._trigger.write_text(self._found)


class NoLed:
    """For a board without any LED."""

    def show(self, pattern: Pattern) -> None:
        """Do nothing."""

    async def run(self) -> None:
        """Wait until cancelled."""
        await asyncio.Event().wait()


def find_channels(root: Path = SYSFS) -> dict[str, str]:
    """The LEDs to use, as `SysfsLed` wants them; empty if there is none.

    A status LED follows the kernel's naming, `[device:]colour:status`; otherwise the activity LED serves.
    """
    names = sorted(entry.name for entry in root.iterdir()) if root.is_dir() else []
    if status := _status_leds(names):
        return status
    return next(({"any": name} for name in ACTIVITY_LEDS if name in names), {})


def _status_leds(names: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        parts = name.split(":")
        if len(parts) >= 2 and parts[-1] == "status" and parts[-2] in ("red", "green", "blue"):
            found.setdefault(parts[-2], name)
    return found


def _active_trigger(listed: str) -> str:
    """The trigger that the kernel marks with brackets, as in `none [mmc0] timer`."""
    marked = (word.strip("[]") for word in listed.split() if word.startswith("["))
    return next(marked, "none")
