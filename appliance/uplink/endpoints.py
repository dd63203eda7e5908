"""Which address of the cloud is used: the primary, or a backup while the primary fails. Pure but for its log.

1. There is one breaker per address; three failures in a row open it.
2. When the address in use is open, the first one in order that is not open takes its place, and stays: a
   station that goes to and fro finds its uploads nowhere.
3. The primary is asked for its health whenever its breaker allows; when that closes, it is used again.
4. When every address is open, they are used in turn. Waiting is the business of whoever sends.
5. With one address there is nothing to choose, and nothing is counted.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from buffer.backoff import Random
from buffer.breaker import Breaker, BreakerPolicy, BreakerSnapshot, BreakerState

log = logging.getLogger(__name__)

POLICY = BreakerPolicy(failures_in_row=3, window_minimum=6)


@dataclass(frozen=True, slots=True)
class EndpointState:
    """One address as it is shown."""

    url: str
    in_use: bool
    breaker: BreakerSnapshot


class Endpoints:
    """Addresses without a final slash, the primary first. Times are monotonic seconds."""

    def __init__(self, urls: Sequence[str], random: Random, policy: BreakerPolicy = POLICY) -> None:
        self._urls = tuple(dict.fromkeys(url.rstrip("/") for url in urls))
        self._random = random
        self._policy = policy
        self._breakers = self._fresh()
        self._current = self._urls[0]

    @property
    def primary(self) -> str:
        """The address that people are told."""
        return self._urls[0]

    @property
    def current(self) -> str:
        """The address in use."""
        return self._current

    def succeeded(self, url: str, now: float) -> None:
        """Something came back from this address."""
        breaker = self._breakers[url]
        if breaker.state is BreakerState.CLOSED:
            breaker.succeeded(now)

    def failed(self, url: str, now: float, reason: str) -> None:
        """Nothing came back, or it could not do its work."""
        if len(self._urls) == 1:
            return
        breaker = self._breakers[url]
        if breaker.state is BreakerState.CLOSED:
            breaker.failed(now, reason)
        if url == self._current and breaker.state is not BreakerState.CLOSED:
            self._leave(reason)

    def health_wait(self, now: float) -> float | None:
        """Seconds until the primary shall be asked for its health; None while it is in use."""
        if self._current == self.primary:
            return None
        return self._breakers[self.primary].wait(now)

    def asked(self, healthy: bool, now: float, reason: str = "") -> None:
        """The primary was asked for its health, when `health_wait` was over."""
        breaker = self._breakers[self.primary]
        if breaker.state is not BreakerState.CLOSED:
            breaker.begin(now)
            if healthy:
                breaker.succeeded(now)
            else:
                breaker.failed(now, reason)
        if breaker.state is BreakerState.CLOSED:
            log.info("the cloud's first address is well again: %s", self.primary)
            self._current = self.primary

    def link_came_up(self) -> None:
        """What failed may have been our own link: begin again with the primary."""
        self._breakers = self._fresh()
        self._current = self.primary

    def states(self, now: float) -> list[EndpointState]:
        """All addresses, in order."""
        return [
            EndpointState(url, url == self._current, breaker.snapshot(now))
            for url, breaker in self._breakers.items()
        ]

    def _fresh(self) -> dict[str, Breaker]:
        return {url: Breaker(self._random, self._policy) for url in self._urls}

    def _leave(self, reason: str) -> None:
        usable = [url for url, breaker in self._breakers.items() if breaker.state is BreakerState.CLOSED]
        if usable:
            log.warning("%s fails (%s), using %s", self._current, reason, usable[0])
            self._current = usable[0]
        else:
            self._give_all_a_chance()

    def _give_all_a_chance(self) -> None:
        """Every address failed: go on in order, so that none is left out, each with a clean breaker."""
        urls = self._urls
        following = urls[(urls.index(self._current) + 1) % len(urls)]
        self._breakers[following] = Breaker(self._random, self._policy)
        self._current = following
