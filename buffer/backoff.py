"""How long to wait before the next try; pure, randomness is passed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

LADDER = (1.0, 5.0, 30.0)
"""Seconds at most before the second, third and every later try."""

Random = Callable[[], float]
"""A number from [0, 1), such as `random.random`."""


def ladder_delay(tries: int, random: Random, ladder: Sequence[float] = LADDER) -> float:
    """Seconds until the next try after `tries` failed ones, with full jitter.

    Full jitter (evenly from zero to the step) spreads a fleet that failed at one moment better than any
    other (AWS Architecture Blog, "Exponential Backoff And Jitter").
    """
    step = ladder[min(max(tries, 1), len(ladder)) - 1]
    return random() * step


def shortened(seconds: float, random: Random) -> float:
    """Between half of `seconds` and all of it: for a wait whose length is promised as a maximum."""
    return seconds * (1 - random() / 2)


def lengthened(seconds: float, random: Random) -> float:
    """Between `seconds` and a fifth more: for a wait that somebody else set as a minimum."""
    return seconds * (1 + random() / 5)
