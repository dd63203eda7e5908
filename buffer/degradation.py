"""How much the station asks of its network and its disk when one of them has a bad day; pure, time comes in.

Level 1  everything, at once.
Level 2  uploads bundled every five minutes, essential telemetry, new configuration at most once an hour.
Level 3  local only: what is recorded stays here until the network is back.
Level 4  raw data only: nothing that costs disk or power beyond keeping what is recorded.

Two axes are judged apart, and the level is the worse of the two:
1. Network: 2 when the connection is poor or the breaker is not closed; 3 when nothing got through for two
   minutes. The way back from 3 is open at once, because somebody waits for the data; the way from 2 to 1 is
   open after a minute without a reason for 2.
2. Supplies: 4 above 85 % of the disk, on a disk that refuses to write, or below 15 % of a battery; left only
   ten points better, and after a minute in which that stayed so.
Recording goes on at every level, and a critical message is never held back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

OUTAGE_S = 120.0
CALM_S = 60.0
DISK_FULL = 0.85
BATTERY_LOW = 0.15
MARGIN = 0.10


class Level(IntEnum):
    """From everything to the least."""

    FULL = 1
    REDUCED = 2
    OFFLINE = 3
    CONSERVE = 4


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is known now. Shares from 0 to 1, None when there is nothing to measure."""

    reachable: bool
    """The breaker is closed."""
    trying: bool = False
    """A probe got through, though the breaker is not closed yet."""
    poor: bool = False
    disk_used: float | None = None
    disk_fails: bool = False
    battery: float | None = None


@dataclass(frozen=True, slots=True)
class Duties:
    """What a level asks of the parts; seconds, None for no limit."""

    batch_every: float | None = None
    config_every: float | None = None
    full_telemetry: bool = True
    extras: bool = True
    """Work that only makes things nicer, such as compressing files."""


_DUTIES = {
    Level.FULL: Duties(),
    Level.REDUCED: Duties(batch_every=300.0, config_every=3600.0, full_telemetry=False),
    Level.OFFLINE: Duties(batch_every=300.0, config_every=3600.0, full_telemetry=False),
    Level.CONSERVE: Duties(batch_every=300.0, config_every=3600.0, full_telemetry=False, extras=False),
}


def duties(level: Level) -> Duties:
    """What this level asks for."""
    return _DUTIES[level]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The level, its two axes, and a word for the reason: network, connection, disk or battery."""

    network: Level = Level.FULL
    supplies: Level = Level.FULL
    reason: str = ""

    @property
    def level(self) -> Level:
        """The worse of the two."""
        return max(self.network, self.supplies)


class Degradation:
    """Remembers since when things are as they are."""

    def __init__(self) -> None:
        self._now = Judgement()
        self._unreachable_since: float | None = None
        self._network_calm_since: float | None = None
        self._supplies_calm_since: float | None = None

    @property
    def judgement(self) -> Judgement:
        """The last one."""
        return self._now

    def judge(self, seen: Conditions, now: float) -> Judgement:
        """The level under these conditions at `now` (monotonic seconds)."""
        network, supplies = self._network(seen, now), self._supplies(seen, now)
        self._now = Judgement(network, supplies, _reason(seen, network, supplies))
        return self._now

    def _network(self, seen: Conditions, now: float) -> Level:
        if seen.reachable or seen.trying:
            self._unreachable_since = None
        elif self._unreachable_since is None:
            self._unreachable_since = now
        if self._unreachable_since is not None:
            self._network_calm_since = None
            return Level.OFFLINE if now - self._unreachable_since >= OUTAGE_S else self._at_least_reduced()
        if not seen.reachable or seen.poor:
            self._network_calm_since = None
            return Level.REDUCED
        if self._now.network is Level.FULL:
            return Level.FULL
        if self._network_calm_since is None:
            self._network_calm_since = now
        return Level.FULL if now - self._network_calm_since >= CALM_S else Level.REDUCED

    def _at_least_reduced(self) -> Level:
        return max(Level.REDUCED, self._now.network)

    def _supplies(self, seen: Conditions, now: float) -> Level:
        if _short(seen, 0.0):
            self._supplies_calm_since = None
            return Level.CONSERVE
        if self._now.supplies is Level.FULL:
            return Level.FULL
        if _short(seen, MARGIN):
            self._supplies_calm_since = None
            return Level.CONSERVE
        if self._supplies_calm_since is None:
            self._supplies_calm_since = now
        return Level.FULL if now - self._supplies_calm_since >= CALM_S else Level.CONSERVE


def _short(seen: Conditions, margin: float) -> bool:
    """Whether disk or battery are short, by limits that are `margin` stricter."""
    disk = seen.disk_used is not None and seen.disk_used > DISK_FULL - margin
    battery = seen.battery is not None and seen.battery < BATTERY_LOW + margin
    return disk or battery or seen.disk_fails


def _reason(seen: Conditions, network: Level, supplies: Level) -> str:
    if supplies > Level.FULL:
        low = seen.battery is not None and seen.battery < BATTERY_LOW + MARGIN
        return "battery" if low else "disk"
    if network is Level.FULL:
        return ""
    return "connection" if seen.reachable and network is Level.REDUCED else "network"
