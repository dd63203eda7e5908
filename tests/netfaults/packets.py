"""What a bad link does to one packet: lose it, hold it back, queue it. Pure; the devices are elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

QUEUE_S = 2.0
"""A packet that would wait longer than this for its turn on a slow link is dropped, as a full router does."""


@dataclass(frozen=True)
class Faults:
    """Of each direction. `loss` is a share, `delay_s` seconds, `rate` bytes per second (0: without limit)."""

    loss: float = 0.0
    delay_s: float = 0.0
    rate: float = 0.0
    blackhole: bool = False


class Way:
    """One direction. The same seed and the same packets give the same losses."""

    def __init__(self, random: Random) -> None:
        self.passed = 0
        self.lost = 0
        self._random = random
        self._free_at = float("-inf")

    def departure(self, now: float, size: int, faults: Faults) -> float | None:
        """When a packet of `size` bytes that comes in `now` goes out; None when it is lost."""
        if faults.blackhole or self._random.random() < faults.loss:
            self.lost += 1
            return None
        if faults.rate:
            begins = max(now, self._free_at)
            if begins - now > QUEUE_S:
                self.lost += 1
                return None
            self._free_at = now = begins + size / faults.rate
        self.passed += 1
        return now + faults.delay_s
