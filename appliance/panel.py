"""Light, display and sound together: what the station shows of itself without any browser."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from appliance.identity.card import Card
from firmware.clock import Clock
from firmware.display import Card as ShownCard
from firmware.display import Display, NoDisplay, grouped, hotspot_lines
from firmware.errors import SoundUnavailable
from firmware.led import Led
from firmware.pattern import Pattern, pattern_for
from firmware.sound import Cue, Sound
from statemachine.lifecycle import State, Transition, Trigger
from statemachine.phase import view_of

log = logging.getLogger(__name__)

LOCATE_S = 30.0

_CUES = {
    State.INITIALIZING: Cue.START,
    State.NETWORK_READY: Cue.READY,
    State.OPERATIONAL: Cue.SUCCESS,
    State.ERROR: Cue.ERROR,
}
_TOLD = {State.OPERATIONAL, State.ERROR, State.HALTED}
"""States whose word stands on the display, with where the pages are."""
_QUIET = {Trigger.RUNNING, Trigger.UPDATE_APPLIED, Trigger.UPDATE_FAILED, Trigger.RECONNECTED}


class Panel:
    """Follows the state. Nothing here can fail in a way that stops the station."""

    def __init__(
        self,
        led: Led,
        display: Display,
        sound: Sound,
        clock: Clock,
        technician_pin: Callable[[], str] = lambda: "",
    ) -> None:
        self._led, self._display, self._sound, self._clock = led, display, sound, clock
        self._technician_pin = technician_pin
        self._state = State.UNINITIALIZED
        self._degraded = False
        self._locate_until: float | None = None
        self._cues: asyncio.Queue[Cue] = asyncio.Queue(maxsize=4)
        self._relight = asyncio.Event()
        self._shown: Card | None = None
        self._hotspot = ("", "")
        self._pages = ("", "")
        self._refresh()

    @property
    def pattern(self) -> Pattern:
        """What the light says now."""
        return pattern_for(self._state.value, degraded=self._degraded, locate=self._locating())

    def follow(self, step: Transition) -> None:
        """Observer of the conductor."""
        self._state = step.target
        if step.moved and step.target in _CUES and step.trigger not in _QUIET and not self._cues.full():
            self._cues.put_nowait(_CUES[step.target])
        if step.target in (State.ACTIVATING, State.OPERATIONAL) and self._shown is not None:
            self._shown = None
            self._display.clear()
        if step.moved and step.target in _TOLD:
            self._show_state()
        self._refresh()

    def _show_state(self) -> None:
        pin, (address, name) = self._technician_pin(), self._pages
        lines = [f"Meteor station: {view_of(self._state).word}"]
        lines += [f"Technician's PIN: {grouped(pin)}"] if pin else []
        lines += [f"Pages: {address}"] if address else []
        lines += [f"or:    {name}"] if name else []
        self._display.show_status(lines, address)

    def show_pages(self, address: str, name: str) -> None:
        """Where the pages are on this network: the URL with the address, and that with the name, if any."""
        if (address, name) == self._pages:
            return
        self._pages = address, name
        if self._state in _TOLD:
            self._show_state()

    def degraded(self, value: bool) -> None:
        """The uplink or the storage is not what it should be."""
        if value != self._degraded:
            self._degraded = value
            self._refresh()

    def locate(self) -> None:
        """Blinks for a while, so that a person finds this station among others."""
        self._locate_until = self._clock.monotonic() + LOCATE_S
        self._relight.set()
        self._refresh()

    def show_card(self, card: Card, cloud_url: str) -> bool:
        """Puts the claim card on the display; False when it stands there already."""
        if card == self._shown:
            return False
        self._shown = card
        shown = ShownCard(
            card.short_id,
            card.pin,
            card.link(cloud_url),
            cloud_url,
            self._technician_pin(),
            *self._hotspot,
        )
        self._display.show_card(shown)
        return True

    @property
    def has_display(self) -> bool:
        """Whether a person can read something here."""
        return not isinstance(self._display, NoDisplay)

    def show_hotspot(self, name: str, key: str) -> None:
        """Puts name and key of the set-up hotspot on the display; the next claim card has them too."""
        if (name, key) != self._hotspot:
            self._hotspot, self._shown = (name, key), None
        if self._shown is None:
            self._display.show_status(hotspot_lines(name, key))

    async def run(self) -> None:
        """Keeps light and sound going until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._led.run())
            group.create_task(self._play())
            group.create_task(self._end_locating())

    async def _play(self) -> None:
        while True:
            cue = await self._cues.get()
            try:
                await self._sound.play(cue)
            except SoundUnavailable as error:
                log.info("no sound: %s", error)

    async def _end_locating(self) -> None:
        while True:
            await self._relight.wait()
            self._relight.clear()
            await asyncio.sleep(LOCATE_S + 0.1)
            self._refresh()

    def _locating(self) -> bool:
        return self._locate_until is not None and self._clock.monotonic() < self._locate_until

    def _refresh(self) -> None:
        self._led.show(self.pattern)
