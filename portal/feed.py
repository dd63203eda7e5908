"""One reader of the station's changes, and any number of listeners; knows nothing of HTTP."""

from __future__ import annotations

import asyncio

from portal.view import Snapshot, Station


class Feed:
    """Follows `Station.changes()` and wakes whoever waits for the next snapshot.

    A listener asks "anything newer than what I have?", so a slow one skips snapshots and never queues any.
    """

    def __init__(self, station: Station) -> None:
        self._station = station
        self._version = 0
        self._latest = station.snapshot()
        self._changed = asyncio.Event()
        self.closed = False

    async def run(self) -> None:
        """Follow until cancelled or until the station ends its changes."""
        try:
            async for snapshot in self._station.changes():
                self._latest = snapshot
                self._version += 1
                self._wake()
        finally:
            self.close()

    def close(self) -> None:
        """Let every listener go."""
        self.closed = True
        self._wake()

    def latest(self) -> tuple[int, Snapshot]:
        """The version to wait after, and the picture now."""
        return self._version, self._station.snapshot()

    async def after(self, version: int, timeout: float) -> tuple[int, Snapshot] | None:
        """The newest snapshot once there is one newer than `version`; None after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while self._version <= version and not self.closed:
                    await self._changed.wait()
        except TimeoutError:
            return None
        return None if self.closed else (self._version, self._latest)

    def _wake(self) -> None:
        # Whoever waits holds the old event; the next wait is on a fresh one.
        self._changed.set()
        self._changed = asyncio.Event()
