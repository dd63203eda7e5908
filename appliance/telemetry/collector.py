"""Facts that may take for ever to gather, for a caller who must not wait: the newest there are, now.

A sensor, a dead network share or a dying disk can hang for minutes. Then the facts of before are given, the
overrun is counted, and no second gathering is begun beside the one that hangs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

PATIENCE_S = 2.0

T = TypeVar("T")


class Collector(Generic[T]):
    """One source of facts. `overruns` counts gatherings that took longer than `patience` seconds."""

    def __init__(
        self, name: str, gather: Callable[[], Awaitable[T]], default: T, patience: float = PATIENCE_S
    ) -> None:
        """`default` is given until the first gathering is done."""
        self.overruns = 0
        self._name = name
        self._gather = gather
        self._last = default
        self._patience = patience
        self._running: asyncio.Task[T] | None = None
        self._late = False

    async def facts(self) -> T:
        """The facts now, or those of before after `patience` seconds, and at once while one still hangs.

        Raises whatever the gathering raises.
        """
        if self._running is None:
            self._running, self._late = asyncio.create_task(self._gathered(), name=self._name), False
        gathering = self._running  # another caller may wait for the same one, and be done with it first
        await asyncio.wait([gathering], timeout=0 if self._late else self._patience)
        if not gathering.done():
            self._note_overrun()
            return self._last
        if self._running is gathering:
            self._running = None
        self._last = gathering.result()
        return self._last

    async def close(self) -> None:
        """Waits for nothing; a thread that hangs ends with the process."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
            self._running = None

    async def _gathered(self) -> T:
        return await self._gather()

    def _note_overrun(self) -> None:
        if not self._late:
            self._late = True
            self.overruns += 1
            log.warning("%s takes longer than %g s; the facts of before are used", self._name, self._patience)
