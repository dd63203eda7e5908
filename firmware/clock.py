"""Time: the port, the machine's clock with its quality and its floor; correcting by a server is not here.

A Raspberry Pi has no battery-backed clock. After a power cut its wall time is old, often by hours, until a
time server answers. So durations are measured on the monotonic clock only, wall time always travels with its
quality, and it never falls below a floor: the time at which this program was built, or a later one that was
known to be right and was kept on disk.
"""

import asyncio
import ctypes
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

YEAR = 365.25 * 86_400
FUTURE_MOST = 15 * YEAR
"""A kept floor this far beyond the build is a mistake and not used; systemd judges its own the same way."""


class Source(StrEnum):
    """Where the wall time comes from."""

    NTP = "ntp"
    """The kernel or the time service says that it is synchronized."""
    FLOOR = "floor"
    """The system's own time was older than the floor, so this one counts up from the floor."""
    UNKNOWN = "unknown"
    """The system's own time, which nobody vouches for."""


@dataclass(frozen=True, slots=True)
class ClockQuality:
    """How far wall time can be trusted. `error` is the estimated error in seconds, None if nobody knows."""

    synchronized: bool
    source: Source
    error: float | None


class Clock(Protocol):
    """The time, as every part of the program gets it."""

    @property
    def boot_id(self) -> str:
        """A name for this start of the machine; monotonic times of different names cannot be compared."""

    def wall(self) -> float:
        """UTC seconds since 1970, for display and for what is sent."""

    def monotonic(self) -> float:
        """Seconds that never run backwards, for every duration."""

    def boottime(self) -> float:
        """Seconds since the machine started, suspended time included."""

    def quality(self) -> ClockQuality:
        """How far `wall` can be trusted now."""

    def raise_floor(self, at: float) -> None:
        """Take `at` (UTC seconds) as past; a lower one is ignored."""

    async def sleep(self, seconds: float) -> None:
        """Wait so long on the monotonic clock."""


@dataclass(frozen=True, slots=True)
class KernelTime:
    """What adjtimex(2) says: is the kernel's clock synchronized, and its estimated error in seconds."""

    synchronized: bool
    error: float


class SystemClock:
    """The machine's clock with a floor."""

    def __init__(
        self,
        *,
        built: float,
        kept: float | None = None,
        root: Path = Path("/"),
        kernel: Callable[[], KernelTime | None] | None = None,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`built` and `kept` are UTC seconds; `root` is where /run and /proc are looked for."""
        self._root = root
        self._kernel = kernel or read_kernel_time
        self._system_wall = wall
        self._system_monotonic = monotonic
        self._floor = floor_of(built, kept)
        self._floor_at = monotonic()
        self._boot_id = _boot_id(root)

    @property
    def boot_id(self) -> str:
        """The kernel's random name for this start of the machine."""
        return self._boot_id

    def wall(self) -> float:
        """UTC seconds since 1970, never below the floor and never standing still."""
        return max(self._system_wall(), self._counted_up())

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return self._system_monotonic()

    def boottime(self) -> float:
        """Seconds since the machine started, suspended time included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def quality(self) -> ClockQuality:
        """How far `wall` can be trusted now."""
        if self._system_wall() < self._counted_up():
            return ClockQuality(False, Source.FLOOR, None)
        kernel = self._kernel()
        if kernel is not None and kernel.synchronized:
            return ClockQuality(True, Source.NTP, kernel.error)
        if (self._root / "run/systemd/timesync/synchronized").exists():
            return ClockQuality(True, Source.NTP, None)
        return ClockQuality(False, Source.UNKNOWN, None)

    def raise_floor(self, at: float) -> None:
        """Take `at` (UTC seconds) as past, for example from a signed answer; a lower one is ignored."""
        if at > self._counted_up():
            self._floor, self._floor_at = at, self._system_monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait so long on the monotonic clock."""
        await asyncio.sleep(seconds)

    def _counted_up(self) -> float:
        return self._floor + self._system_monotonic() - self._floor_at


def floor_of(built: float, kept: float | None) -> float:
    """The later of build time and kept time, unless the kept one is absurdly late."""
    if kept is None or kept > built + FUTURE_MOST:
        return built
    return max(built, kept)


def read_kept_time(path: Path) -> float | None:
    """The time that was kept at `path` in UTC seconds, or None if there is none that can be read."""
    try:
        kept = float(path.read_text().strip())
    except (OSError, ValueError):
        return None
    return kept if 0 < kept < 1e12 else None


def keep_time(path: Path, clock: Clock) -> bool:
    """Keep the present time at `path` if it is synchronized; say whether it was kept.

    An unsynchronized time is not kept: a wrong one in the future would stay with the station for good. There
    is no fsync: losing this file costs nothing but a lower floor.
    """
    if not clock.quality().synchronized:
        return False
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(f"{clock.wall():.0f}\n")
    fresh.replace(path)
    return True


def keep_past(path: Path, at: float) -> None:
    """Keep `at` (UTC seconds), which somebody has signed, at `path`, unless a later time is kept."""
    kept = read_kept_time(path)
    if kept is not None and kept >= at:
        return
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(f"{at:.0f}\n")
    fresh.replace(path)


class _Timex(ctypes.Structure):
    """struct timex of <sys/timex.h>, as far as its fields are the same on every Linux."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


_STA_UNSYNC = 0x0040
_TIME_ERROR = 5


def read_kernel_time() -> KernelTime | None:
    """Ask the kernel, which timesyncd, chrony and ntpd all tell; None where it may not be asked."""
    asked = _Timex(modes=0)
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(asked))
    if state < 0:
        return None
    synchronized = state != _TIME_ERROR and not asked.status & _STA_UNSYNC
    return KernelTime(synchronized, asked.esterror / 1_000_000)


def _boot_id(root: Path) -> str:
    """The kernel's name for this boot; a fresh one where there is none, lest two starts be confused."""
    try:
        return (root / "proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return os.urandom(16).hex()
