"""News inside the cloud process: who publishes what for which account, and who listens. No sockets here.

Invariants: publishing never waits; a listener hears only its own account and the stations it shares; a
listener that is too slow loses its oldest news and is told so (`missed`), so that it can read the whole state
again.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

import msgspec

QUEUE_LENGTH = 256
"""News that may wait for one listener."""


class News(msgspec.Struct, frozen=True):
    """One piece of news. `id` grows by one per process, `at_ms` is UTC in milliseconds since 1970."""

    id: int
    event: str
    data: dict[str, Any]
    at_ms: int


class Subscription:
    """What one listener has not read yet; an asynchronous iterator and a context manager."""

    def __init__(self, bus: Bus, account_id: str, limit: int) -> None:
        self._bus = bus
        self._account_id = account_id
        self._waiting: deque[News] = deque(maxlen=limit)
        self._wake = asyncio.Event()
        self._closed = False
        self.missed = False
        """True after news were lost; the listener sets it back when it has read the whole state."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> News:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._waiting.popleft()

    def offer(self, news: News) -> None:
        """Adds news; the oldest makes room when the listener is too slow."""
        self.missed = self.missed or len(self._waiting) == self._waiting.maxlen
        self._waiting.append(news)
        self._wake.set()

    def close(self) -> None:
        """Ends the iteration after what waits was read. May be called twice."""
        self._closed = True
        self._wake.set()
        self._bus.forget(self._account_id, self)


class Bus:
    """Hands news to the listeners of an account. Belongs to the event loop: call it from no other thread."""

    def __init__(self, unix_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._unix_ms = unix_ms
        self._listeners: dict[str, set[Subscription]] = {}
        self._audience: dict[str, frozenset[str]] = {}
        self.last_id = 0
        """The id of the newest news, 0 before the first."""

    def publish(self, account_id: str, event: str, data: dict[str, Any]) -> None:
        """Hands news to everybody who listens for the account, or shares the station that `deviceId` names.
        Never waits, never fails."""
        self.last_id += 1
        news = News(self.last_id, event, data, self._unix_ms())
        for each in {account_id} | self._audience.get(data.get("deviceId", ""), frozenset()):
            for listener in tuple(self._listeners.get(each, ())):
                listener.offer(news)

    def wake_station(self, device_id: str) -> None:
        """Something may wait for this station; its open connection looks what. Never waits, never fails."""
        for listener in tuple(self._listeners.get(_station(device_id), ())):
            listener.offer(News(self.last_id, "look", {}, self._unix_ms()))

    def subscribe_station(self, device_id: str) -> Subscription:
        """A listener to `wake_station`. One waiting word is as good as many."""
        return self.subscribe(_station(device_id), limit=1)

    def is_heard(self, account_id: str, device_id: str) -> bool:
        """Whether anybody listens to news of this station, so that telling much is worth its work."""
        audience = self._audience.get(device_id, frozenset())
        return account_id in self._listeners or any(each in self._listeners for each in audience)

    def set_audience(self, device_id: str, account_ids: Iterable[str]) -> None:
        """From now on these accounts, too, hear of this station."""
        self._audience[device_id] = frozenset(account_ids)
        if not self._audience[device_id]:
            del self._audience[device_id]

    def subscribe(self, account_id: str, *, limit: int = QUEUE_LENGTH) -> Subscription:
        """A listener for an account, from now on; close it, or use it as a context manager."""
        subscription = Subscription(self, account_id, limit)
        self._listeners.setdefault(account_id, set()).add(subscription)
        return subscription

    def forget(self, account_id: str, subscription: Subscription) -> None:
        """Takes a listener off; called by its `close`."""
        listeners = self._listeners.get(account_id, set())
        listeners.discard(subscription)
        if not listeners:
            self._listeners.pop(account_id, None)

    def listening(self) -> int:
        """How many listeners there are."""
        return sum(map(len, self._listeners.values()))


def _station(device_id: str) -> str:
    """No account is named like this."""
    return f"station {device_id}"
