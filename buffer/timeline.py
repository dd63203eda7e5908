"""Powered-on time across boots, the only clock that expiry and delays obey; pure.

Every run of the program has a row in `boots`. The time line adds up how long the station was powered on:
time within a boot comes from its own monotonic clock, and time without power counts nothing, unless the wall
clock was synchronised both before and after it. So a wrong or jumping clock can neither expire a message nor
keep it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the program. Times in milliseconds; `offset_ms` is wall minus boot time once known."""

    number: int
    kernel_boot: str
    base_ms: int
    opened_ms: int
    last_ms: int
    offset_ms: int | None


def next_base(previous: Run | None, kernel_boot: str) -> int:
    """How long the station had been powered on before this boot began, as far as it was written down."""
    if previous is None:
        return 0
    if previous.kernel_boot == kernel_boot:
        return previous.base_ms
    return previous.base_ms + max(previous.opened_ms, previous.last_ms)


class Timeline:
    """Turns (run, boot time) into powered-on time and into wall time."""

    def __init__(self, runs: dict[int, Run]) -> None:
        self._runs = runs

    def powered_on_ms(self, number: int, boottime_ms: int) -> int:
        """Milliseconds on the time line; a run nobody remembers lies at its beginning."""
        run = self._runs.get(number)
        return boottime_ms + (run.base_ms if run else 0)

    def wall(self, number: int, boottime_ms: int, wall_ms: int) -> tuple[datetime, bool]:
        """Wall time in UTC, and whether it rests on a clock that was right at some point of that boot."""
        run = self._runs.get(number)
        if run is None or run.offset_ms is None:
            return from_ms(wall_ms), False
        return from_ms(boottime_ms + run.offset_ms), True

    def unseen_ms(self, then: int, now: int) -> int:
        """Time without power between two runs; 0 unless the wall clock was synchronised in both boots.

        A wrong clock can therefore never make anything older than it is.
        """
        old, new = self._runs.get(then), self._runs.get(now)
        if old is None or new is None or old.offset_ms is None or new.offset_ms is None:
            return 0
        return max(0, (new.offset_ms - new.base_ms) - (old.offset_ms - old.base_ms))

    def add(self, run: Run) -> None:
        """Know one more run."""
        self._runs.setdefault(run.number, run)

    def trust(self, kernel_boot: str, offset_ms: int) -> None:
        """From now on the wall time of every run of this boot is computed with this offset."""
        for number, run in self._runs.items():
            if run.kernel_boot == kernel_boot:
                self._runs[number] = Run(
                    run.number, run.kernel_boot, run.base_ms, run.opened_ms, run.last_ms, offset_ms
                )


def from_ms(wall_ms: int) -> datetime:
    """UTC time from milliseconds since 1970."""
    return datetime.fromtimestamp(wall_ms / 1000, UTC)
