"""How much may be sent after an outage: first little, then more; pure, time and randomness are passed in.

A cloud that comes back after an outage has every station of the fleet before its door. So each station waits
a random part of a spread before it sends anything but critical messages, and then sends small batches that
grow with every success. The cloud knows how large its fleet is and names the spread; two minutes hold until
it has. When only this station's own link was away, nobody else waits and the spread is left out; the growing
batches stay, because a new link may be a bad one.

1. The limit goes up one step with every success and is halved, never below one, by a failure.
2. After a failure a step up takes several successes, so that a size that is too large is not tried again
   and again.
3. Above the last step there is no limit of this file: `limit` is None.
"""

from __future__ import annotations

from buffer.backoff import Random

STEPS = (10, 50, 200, 500)
SPREAD_S = 120.0
LONGEST_SPREAD_S = 600.0
"""A mistaken wish of the cloud must not keep a station's events back for hours."""
CAREFUL_SUCCESSES = 10


class SlowStart:
    """Ask `limit` and `wait`; report what happened with the other verbs."""

    def __init__(self, random: Random, *, steps: tuple[int, ...] = STEPS, spread: float = SPREAD_S) -> None:
        """Nothing is limited before the first outage. `spread` in seconds, until the cloud names another."""
        self._random = random
        self._steps = steps
        self._spread = spread
        self._limit: int | None = None
        self._bulk_at = float("-inf")
        self._successes = 0
        self._needed = 1

    @property
    def limit(self) -> int | None:
        """How many messages the next batch may have; None when this does not limit it."""
        return self._limit

    def wait(self, now: float) -> float:
        """Seconds until anything but a critical message may go."""
        return max(0.0, self._bulk_at - now)

    def recovered(self, now: float, *, shared: bool) -> None:
        """The endpoint works again; `shared` when every station saw it fail."""
        self._limit = self._steps[0]
        self._successes, self._needed = 0, 1
        self._bulk_at = now + self._random() * self._spread if shared else now

    def spread_over(self, seconds: float, now: float) -> None:
        """The cloud named its spread; a wait that runs is shortened with it, never lengthened."""
        seconds = min(max(0.0, seconds), LONGEST_SPREAD_S)
        if self._spread > seconds:
            self._bulk_at = min(self._bulk_at, now + self.wait(now) * seconds / self._spread)
        self._spread = seconds

    def no_spread(self, now: float) -> None:
        """Somebody asks for it now, or it was our own link after all."""
        self._bulk_at = min(self._bulk_at, now)

    def succeeded(self) -> None:
        """A batch was answered."""
        self._successes += 1
        if self._limit is None or self._successes < self._needed:
            return
        self._successes = 0
        self._limit = next((step for step in self._steps if step > self._limit), None)

    def failed(self) -> None:
        """A batch found no answer."""
        if self._limit is not None:
            self._limit = max(1, self._limit // 2)
            self._successes, self._needed = 0, CAREFUL_SUCCESSES
