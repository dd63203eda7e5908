"""A fake for every port, shipped with the product: a laptop or a test runs the same program as a station.

Each fake keeps what it was asked for in `history` and tells whoever observes it, so that a page or a console
can show a simulated light.
"""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Generic, TypeVar

from firmware.button import Press
from firmware.clock import ClockQuality, Source
from firmware.display import Card
from firmware.pattern import Pattern
from firmware.reset import Extent, ResetPlan, plan_reset
from firmware.sound import Cue

T = TypeVar("T")


class History(Generic[T]):
    """What happened, in order, and those who want to hear of it."""

    def __init__(self) -> None:
        self.history: list[T] = []
        self._observers: list[Callable[[T], None]] = []

    def observe(self, observer: Callable[[T], None]) -> Callable[[], None]:
        """Call `observer` with everything from now on; the returned function ends that."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def record(self, item: T) -> None:
        """Keep `item` and tell the observers."""
        self.history.append(item)
        for observer in tuple(self._observers):
            observer(item)


class FakeLed(History[Pattern]):
    """A light that remembers; asking for the pattern that already shows is not a new event."""

    @property
    def pattern(self) -> Pattern | None:
        """What shows now."""
        return self.history[-1] if self.history else None

    def show(self, pattern: Pattern) -> None:
        """Show `pattern` from now on."""
        if pattern != self.pattern:
            self.record(pattern)

    async def run(self) -> None:
        """Wait until cancelled."""
        await asyncio.Event().wait()


class FakeButton(History[Press]):
    """A button that a test or a page presses."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: asyncio.Queue[Press] = asyncio.Queue()

    def press(self, press: Press) -> None:
        """Press the button."""
        self._waiting.put_nowait(press)
        self.record(press)

    async def presses(self) -> AsyncIterator[Press]:
        """The presses, each once, for as long as someone listens."""
        while True:
            yield await self._waiting.get()


class FakeDisplay(History[Card | tuple[str, ...] | None]):
    """A display that remembers: a card, status lines, or None for an empty one."""

    @property
    def shown(self) -> Card | tuple[str, ...] | None:
        """What shows now."""
        return self.history[-1] if self.history else None

    def show_card(self, card: Card) -> None:
        """Show the claim card."""
        self.record(card)

    def show_status(self, lines: Iterable[str], qr_text: str = "") -> None:
        """Show lines of status, the text of a code as the last of them."""
        self.record((*lines, *([qr_text] if qr_text else [])))

    def clear(self) -> None:
        """Show nothing."""
        self.record(None)


class FakeSound(History[Cue | str]):
    """A loudspeaker that remembers its cues and what it said."""

    async def play(self, cue: Cue) -> None:
        """Remember the cue."""
        self.record(cue)

    async def speak(self, text: str) -> None:
        """Remember the text."""
        self.record(text)


class FakeWatchdog(History[str]):
    """A service manager that remembers what it was told: `ready`, `alive`, `stopping`, `status: …`."""

    def __init__(self, interval: float | None = None) -> None:
        super().__init__()
        self._interval = interval

    @property
    def interval(self) -> float | None:
        """Seconds between two signs of life, or None if nobody waits for them."""
        return self._interval

    def ready(self, status: str = "") -> None:
        """Remember that the program is ready."""
        self.record(f"ready: {status}" if status else "ready")

    def alive(self) -> None:
        """Remember a sign of life."""
        self.record("alive")

    def status(self, text: str) -> None:
        """Remember the text."""
        self.record(f"status: {text}")

    def stopping(self) -> None:
        """Remember that the program stops."""
        self.record("stopping")


class FakeClock(History[float]):
    """A clock moved by hand; sleepers wake in order as it passes them. `history` has wall times set."""

    def __init__(self, wall: float = 1_800_000_000.0, *, boot_id: str = "boot-1") -> None:
        super().__init__()
        self._wall = wall
        self._monotonic = 0.0
        self._asleep = 0.0
        self._quality = ClockQuality(True, Source.NTP, 0.01)
        self._boot_id = boot_id
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    @property
    def boot_id(self) -> str:
        """The same until `reboot`."""
        return self._boot_id

    def wall(self) -> float:
        """UTC seconds since 1970."""
        return self._wall

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return self._monotonic

    def boottime(self) -> float:
        """As `monotonic`, and counting suspended time too."""
        return self._monotonic + self._asleep

    def quality(self) -> ClockQuality:
        """How far the wall time can be trusted."""
        return self._quality

    def raise_floor(self, at: float) -> None:
        """A lower time becomes this one; nobody vouches for it."""
        if at > self._wall:
            self.set_wall(at, ClockQuality(False, Source.FLOOR, None))

    async def sleep(self, seconds: float) -> None:
        """Sleep until the clock was moved past that time."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiting = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, next(self._order), waiting))
        await waiting

    async def advance(self, seconds: float) -> None:
        """Let time pass, waking each sleeper at its own moment and letting it act before time goes on."""
        end = self._monotonic + seconds
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, waiting = heapq.heappop(self._sleepers)
            self._pass(at - self._monotonic)
            if not waiting.done():
                waiting.set_result(None)
            await _settle()
        self._pass(end - self._monotonic)

    def set_wall(self, wall: float, quality: ClockQuality | None = None) -> None:
        """Set the wall time, as a time server or a person does; durations do not notice."""
        self._wall = wall
        self._quality = quality or self._quality
        self.record(wall)

    def suspend(self, seconds: float) -> None:
        """Let the machine sleep: wall and boot time pass, monotonic time stands still."""
        self._asleep += seconds
        self.set_wall(self._wall + seconds)

    def reboot(self, boot_id: str, wall: float) -> None:
        """Start anew as after a power cut, with whatever the wall clock then says."""
        self._boot_id, self._monotonic, self._asleep = boot_id, 0.0, 0.0
        self.set_wall(wall, ClockQuality(False, Source.UNKNOWN, None))

    def _pass(self, seconds: float) -> None:
        self._monotonic += seconds
        self._wall += seconds


class FakeReset(History[ResetPlan]):
    """A factory reset that only remembers its plans."""

    async def run(self, extent: Extent = Extent.OWNER) -> ResetPlan:
        """Remember the plan and report it as done."""
        plan = plan_reset(extent)
        self.record(plan)
        return plan

    async def finish_pending(self) -> ResetPlan | None:
        """A fake is never interrupted."""
        return None


async def _settle() -> None:
    """Let every task that can go on do so: a chain of awaits needs several turns of the loop."""
    for _ in range(20):
        await asyncio.sleep(0)
