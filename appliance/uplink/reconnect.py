"""When the live connection is tried again; pure, randomness comes in.

1. After a failure the wait is drawn evenly from zero to a step (full jitter), so that a fleet that lost its
   cloud at one moment does not come back at one moment. The step doubles up to a cap.
2. A connection that held for a minute ends the row of failures; the first wait is jittered all the same.
3. A wait that the cloud asked for is a minimum.
4. What answers the upgrade with anything but a WebSocket several times in a row will not learn it soon: a
   proxy, a firewall. It is asked rarely, until the network is another.
"""

from __future__ import annotations

from buffer.backoff import Random, lengthened

FIRST_STEP_S, CAP_S = 10.0, 300.0
"""Within the first step at most 20 stations a second come back of 200, which is what the cloud invites."""
LEAST_S = 0.5
STEADY_S = 60.0
BLOCKED_AFTER = 3
BLOCKED_S = 3600.0


class Reconnect:
    """Counts what failed. All times are in seconds."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.failures = 0
        self._not_upgraded = 0

    @property
    def blocked(self) -> bool:
        """Whether something on the way seems to let no WebSocket through."""
        return self._not_upgraded >= BLOCKED_AFTER

    def fresh(self) -> None:
        """The network is another one: what was learned of the old one does not count."""
        self.failures = self._not_upgraded = 0

    def upgraded(self) -> None:
        """The way lets WebSockets through."""
        self._not_upgraded = 0

    def ended(self, lasted: float) -> float:
        """The wait after a connection that had stood for so long."""
        if lasted >= STEADY_S:
            self.failures = 0
        return self.failed()

    def failed(self, asked: float | None = None) -> float:
        """The wait after a failure; `asked` is what the cloud wants at least."""
        drawn = self._random() * min(CAP_S, FIRST_STEP_S * 2.0 ** min(self.failures, 10))
        self.failures += 1
        return max(LEAST_S, drawn, lengthened(asked, self._random) if asked else 0.0)

    def not_upgraded(self, asked: float | None = None) -> float:
        """The wait after an answer that was no WebSocket."""
        self._not_upgraded += 1
        wait = self.failed(asked)
        return max(wait, BLOCKED_S * (0.5 + self._random())) if self.blocked else wait
