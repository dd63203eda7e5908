"""Waking those who wait for messages; one bell for each, rung on the event loop."""

from __future__ import annotations

import asyncio

from buffer.message import Priority


class Bell:
    """Belongs to one task, which looks for itself after each ring: too often at times, never too late."""

    def __init__(self) -> None:
        self._rung = {priority: asyncio.Event() for priority in Priority}

    def ring(self, priority: Priority) -> None:
        """Something of this priority may have become ready."""
        for waiting_for, event in self._rung.items():
            if priority <= waiting_for:
                event.set()

    async def wait(self, timeout: float, priority: Priority = Priority.LOW) -> bool:
        """Until something at least this urgent may be ready; false after `timeout` seconds."""
        try:
            async with asyncio.timeout(max(0.0, timeout)):
                await self._rung[priority].wait()
        except TimeoutError:
            return False
        self._rung[priority].clear()
        return True
