"""Measures the connection by what the station sends anyway, so that a metered link pays nothing for it.

Latency: the quickest of the last small requests, because a slow one may be the server's doing. Bandwidth: the
median of the last large uploads. Loss: the share of the last requests that got no answer. A refused
connection is an answer: packets come and go. What is old is forgotten. One slow request says nothing bad of a
connection yet: the first one also finds the name, opens the connection and may wait for a busy server.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from statistics import median
from typing import Generic, TypeVar

from appliance.network.quality import (
    POOR_BANDWIDTH_MBPS,
    POOR_LATENCY_MS,
    Measurement,
    Quality,
    judge,
)

SMALL_BYTES = 8 * 1024
LARGE_BYTES = 64 * 1024
KEPT = 20
MEMORY_S = 600.0
LEAST_FOR_LOSS = 5
"""With fewer requests a single lost one would say more than it knows."""
LEAST_FOR_SLOW = 3
LEAST_FOR_NARROW = 2
"""Small requests, and large uploads, before they may tell that a connection is poor."""

T = TypeVar("T")


class _Recent(Generic[T]):
    """The last values, none older than `MEMORY_S`."""

    def __init__(self, kept: int = KEPT) -> None:
        self._values: deque[tuple[float, T]] = deque(maxlen=kept)

    def add(self, now: float, value: T) -> None:
        self._values.append((now, value))

    def values(self, now: float) -> list[T]:
        while self._values and now - self._values[0][0] > MEMORY_S:
            self._values.popleft()
        return [value for _, value in self._values]

    def clear(self) -> None:
        self._values.clear()


class QualityMeter:
    """Told of every request by the client. `now` gives monotonic seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._latency = _Recent[float]()
        self._bandwidth = _Recent[float](5)
        self._answered = _Recent[bool]()
        self._names = _Recent[bool](1)

    def answered(self, seconds: float, sent: int) -> None:
        """An answer came `seconds` after a request of `sent` bytes was begun."""
        now = self._now()
        self._answered.add(now, True)
        self._names.add(now, True)
        if sent <= SMALL_BYTES:
            self._latency.add(now, seconds * 1000)
        elif sent >= LARGE_BYTES:
            known = self._latency.values(now)
            moving = seconds - (min(known) / 1000 if known else 0.0)
            if moving > 0:
                self._bandwidth.add(now, sent * 8 / moving / 1e6)

    def unanswered(self, fault: str) -> None:
        """No answer came; `fault` as in `Unreachable`."""
        now = self._now()
        if fault == "dns":
            self._names.add(now, False)
        else:
            self._names.add(now, True)
            self._answered.add(now, fault in ("refused", "tls"))

    def link_changed(self) -> None:
        """Another link: what is known belongs to the one before."""
        for each in (self._latency, self._bandwidth, self._answered, self._names):
            each.clear()

    def measurement(self) -> Measurement | None:
        """What is known; None while nothing was sent."""
        now = self._now()
        answered, names = self._answered.values(now), self._names.values(now)
        if not answered and not names:
            return None
        latency, bandwidth = self._latency.values(now), self._bandwidth.values(now)
        loss = answered.count(False) / len(answered) if len(answered) >= LEAST_FOR_LOSS else 0.0
        return Measurement(
            dns=all(names),
            latency_ms=_latency(latency),
            bandwidth_mbps=_bandwidth(bandwidth),
            loss=round(loss, 3),
        )

    def quality(self) -> Quality | None:
        """The verdict; None while nothing is known."""
        seen = self.measurement()
        return None if seen is None else judge(seen)


def _latency(seen: list[float]) -> float | None:
    quickest = min(seen, default=None)
    if quickest is None or (quickest > POOR_LATENCY_MS and len(seen) < LEAST_FOR_SLOW):
        return None
    return round(quickest, 1)


def _bandwidth(seen: list[float]) -> float | None:
    middle = median(seen) if seen else None
    if middle is None or (middle < POOR_BANDWIDTH_MBPS and len(seen) < LEAST_FOR_NARROW):
        return None
    return round(middle, 3)
