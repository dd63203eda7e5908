"""The circuit breaker: whether the endpoint may be tried now; pure, time and randomness are passed in.

closed     every try is let through; after a failure the next waits on the ladder of 1, 5, 30 seconds.
open       nothing is let through until the recovery time: 60, then 300, then 900 seconds.
half-open  one try at a time; enough successes in a row close it, one failure opens it for longer.

The rules:
1. It opens on 5 failures in a row, or when half of the last 20 tries failed (at least 5 of them).
2. The recovery time grows with every opening and is forgotten after 10 successes, not after one: an
   endpoint that answers once a minute is not healthy.
3. `hold` is the endpoint's own wish (Retry-After) and outranks everything; `probe_now` never breaks it.
4. Times are seconds of a monotonic clock. What is kept over a restart is how long is left, not until when.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from buffer.backoff import LADDER, Random, ladder_delay, lengthened, shortened


class BreakerState(StrEnum):
    """Where the breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """The numbers; times in seconds."""

    failures_in_row: int = 5
    window: int = 20
    window_minimum: int = 5
    failure_share: float = 0.5
    ladder: tuple[float, ...] = LADDER
    recovery: tuple[float, ...] = (60.0, 300.0, 900.0)
    successes_to_close: int = 2
    successes_to_forget: int = 10
    longest_hold: float = 3600.0


@dataclass(frozen=True, slots=True)
class BreakerSnapshot:
    """What pages, heartbeat and metrics show; `retry_in` is zero when a try may go now.

    `openings` and `probes` count since the station was made, also over restarts.
    """

    state: BreakerState
    retry_in: float
    held: bool
    failures_in_row: int
    openings: int
    last_reason: str | None
    probes: int = 0


class Breaker:
    """One breaker for one endpoint. Ask `wait`, announce with `begin`, report with the other verbs."""

    def __init__(self, random: Random, policy: BreakerPolicy | None = None) -> None:
        """A closed breaker that knows of no failure."""
        self._random = random
        self._policy = policy or BreakerPolicy()
        self._state = BreakerState.CLOSED
        self._window: deque[bool] = deque(maxlen=self._policy.window)
        self._failures = 0
        self._successes = 0
        self._openings = 0
        self._probes = 0
        self._level = 0
        self._not_before = float("-inf")
        self._held_until = float("-inf")
        self._forced_at = float("-inf")
        self._reason: str | None = None

    @property
    def state(self) -> BreakerState:
        """Where it stands."""
        return self._state

    def wait(self, now: float) -> float:
        """Seconds until a try may go; zero when it may go now."""
        return max(0.0, self._not_before - now, self._held_until - now)

    def begin(self, now: float) -> bool:
        """A try goes out now; whether it is a probe, which should be one small message.

        Raises RuntimeError when `wait` is not over.
        """
        if self.wait(now) > 0:
            raise RuntimeError("a try was begun before its time")
        if self._state is BreakerState.OPEN:
            self._state = BreakerState.HALF_OPEN
            self._successes = 0
        self._probes += self._state is BreakerState.HALF_OPEN
        return self._state is BreakerState.HALF_OPEN

    def succeeded(self, now: float) -> None:
        """The endpoint answered, whatever it said about the messages."""
        self._failures = 0
        self._successes += 1
        self._not_before = now
        self._window.append(True)
        if self._state is BreakerState.HALF_OPEN and self._successes >= self._policy.successes_to_close:
            self._close()
        if self._successes >= self._policy.successes_to_forget:
            self._level = 0

    def failed(self, now: float, reason: str) -> None:
        """The endpoint could not be reached or could not do its work."""
        self._failures += 1
        self._successes = 0
        self._reason = reason
        self._window.append(False)
        if self._state is BreakerState.HALF_OPEN or self._too_many():
            self._open(now)
        else:
            self._not_before = now + ladder_delay(self._failures, self._random, self._policy.ladder)

    def hold(self, now: float, seconds: float, reason: str) -> None:
        """Try nothing for this long: the endpoint asked for it, or trying is known to be useless."""
        self._reason = reason
        seconds = min(max(0.0, seconds), self._policy.longest_hold)
        self._held_until = max(self._held_until, now + lengthened(seconds, self._random))

    def end_hold(self, now: float) -> None:
        """What `hold` was for is over: the other side deals with somebody else from now on."""
        self._held_until = min(self._held_until, now)

    def probe_now(self, now: float, *, at_most_every: float = 0.0) -> bool:
        """Try now instead of later, because the link came up or something critical waits.

        False, and nothing changes, when the last such request is less than `at_most_every` seconds old.
        """
        if now - self._forced_at < at_most_every:
            return False
        self._forced_at = now
        self._not_before = min(self._not_before, now)
        return True

    def forced_ago(self, now: float) -> float:
        """Seconds since `probe_now` last did something."""
        return now - self._forced_at

    def snapshot(self, now: float) -> BreakerSnapshot:
        """Everything that is shown about it."""
        return BreakerSnapshot(
            self._state,
            self.wait(now),
            self._held_until > now,
            self._failures,
            self._openings,
            self._reason,
            self._probes,
        )

    def encode(self, now: float) -> str:
        """Its state as a short JSON text that `decode` takes after a restart."""
        return json.dumps(
            {
                "state": self._state,
                "window": "".join("1" if good else "0" for good in self._window),
                "failures": self._failures,
                "openings": self._openings,
                "probes": self._probes,
                "level": self._level,
                "wait": max(0.0, self._not_before - now),
                "held": max(0.0, self._held_until - now),
                "reason": self._reason,
            }
        )

    @classmethod
    def decode(cls, text: str, now: float, random: Random, policy: BreakerPolicy | None = None) -> Self:
        """The breaker that `encode` wrote, so that a crash loop does not hammer a sick endpoint.

        A text it cannot read gives a closed breaker; waits are bounded by the policy.
        """
        breaker = cls(random, policy)
        try:
            breaker._restore(json.loads(text), now)
        except (ValueError, TypeError, KeyError):
            return cls(random, policy)
        return breaker

    def _restore(self, saved: dict[str, Any], now: float) -> None:
        longest = max(*self._policy.recovery, *self._policy.ladder)
        self._state = BreakerState(saved["state"])
        self._window.extend(mark == "1" for mark in str(saved["window"]))
        self._failures = max(0, int(saved["failures"]))
        self._openings = max(0, int(saved["openings"]))
        self._probes = max(0, int(saved.get("probes", 0)))
        self._level = min(max(0, int(saved["level"])), len(self._policy.recovery))
        self._not_before = now + min(max(0.0, float(saved["wait"])), longest)
        self._held_until = now + min(max(0.0, float(saved["held"])), self._policy.longest_hold * 1.2)
        self._reason = None if saved["reason"] is None else str(saved["reason"])

    def _too_many(self) -> bool:
        if self._failures >= self._policy.failures_in_row:
            return True
        bad = self._window.count(False)
        return (
            len(self._window) >= self._policy.window_minimum
            and bad >= len(self._window) * self._policy.failure_share
        )

    def _open(self, now: float) -> None:
        step = self._policy.recovery[min(self._level, len(self._policy.recovery) - 1)]
        self._state = BreakerState.OPEN
        self._level = min(self._level + 1, len(self._policy.recovery))
        self._openings += 1
        self._not_before = now + shortened(step, self._random)

    def _close(self) -> None:
        self._state = BreakerState.CLOSED
        self._window.clear()
