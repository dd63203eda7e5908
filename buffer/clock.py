"""The time the buffer needs, as a port and its Linux implementation; no rule about time lives here."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

_KERNEL_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """What time it is, by two clocks that must never be mixed up."""

    def boottime(self) -> float:
        """Seconds since this boot, suspend included; never goes back and never jumps."""

    def now(self) -> datetime:
        """Wall time in UTC, which may be years off; for display and for the wire only."""

    def boot_id(self) -> str:
        """A text that is the same for two readings exactly when both belong to one boot."""


class SystemClock:
    """The clocks of this machine."""

    def boottime(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def boot_id(self) -> str:
        return _KERNEL_BOOT_ID.read_text(encoding="ascii").strip()


@dataclass(frozen=True, slots=True)
class Stamp:
    """One instant by both clocks, in whole milliseconds."""

    boottime_ms: int
    wall_ms: int


def stamp(clock: Clock) -> Stamp:
    """This instant; a wall clock before 1970 is read as 1970."""
    return Stamp(int(clock.boottime() * 1000), max(0, int(clock.now().timestamp() * 1000)))
