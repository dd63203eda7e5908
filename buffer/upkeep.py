"""The chores of the buffer while the station works: media within their limits, gaps told to the cloud."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from buffer.errors import BufferClosed, StoreError
from buffer.gaps import Gap
from buffer.media import MediaStore
from buffer.message import Draft
from buffer.retention import MediaRules
from buffer.store import Store

_LOG = logging.getLogger(__name__)
EVERY_SECONDS = 300.0
PACKED_PER_ROUND = 64
"""So many files are looked at in one round, so that packing never takes the processor for long."""


class Upkeep:
    """One task for all chores. `run` it in a task of its own."""

    def __init__(
        self,
        store: Store,
        media: MediaStore,
        rules: Callable[[], MediaRules],
        *,
        clock_trusted: Callable[[], bool],
        report: Callable[[Sequence[Gap]], Draft] | None = None,
        every: float = EVERY_SECONDS,
    ) -> None:
        """`rules` and `clock_trusted` are asked each time; `report` makes the message about gaps."""
        self._store = store
        self._media = media
        self._rules = rules
        self._clock_trusted = clock_trusted
        self._report = report
        self._every = every

    async def run(self) -> None:
        """Work until cancelled. Raises BufferClosed when the store is closed under it."""
        while True:
            try:
                await self.once()
            except BufferClosed:
                raise
            except StoreError as error:
                _LOG.warning("a chore of the buffer failed, the next round tries again: %s", error)
            await asyncio.sleep(self._every)

    async def once(self) -> None:
        """Every chore, one time."""
        rules = self._rules()
        await self._media.tidy(rules, clock_trusted=self._clock_trusted())
        if self._report is not None:
            while await self._store.report_gaps(self._report) is not None:
                pass
        if rules.pack:
            await self._media.pack(PACKED_PER_ROUND)
