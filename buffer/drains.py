"""The two drains of a station as one: for events, and for their files."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from buffer.backoff import Random
from buffer.clock import Clock
from buffer.degradation import Duties
from buffer.drain import Drain, DrainPolicy, MediaKeeper, Progress
from buffer.message import Lane
from buffer.store import Store
from buffer.uplink import Uplink


class Drains:
    """Takes everything from one store to the cloud. `run` it in a task of its own."""

    def __init__(
        self,
        store: Store,
        *,
        express: Uplink,
        bulk: Uplink,
        clock: Clock,
        random: Random,
        policy: DrainPolicy | None = None,
        media: MediaKeeper | None = None,
    ) -> None:
        """`express` and `bulk` are the ways for events and for files; they may lead to one place."""
        policy = policy or DrainPolicy()
        self._express = Drain(store, express, clock=clock, random=random, policy=policy, media=media)
        self._bulk = Drain(
            store,
            bulk,
            clock=clock,
            random=random,
            policy=replace(policy, batch_count=1),
            media=media,
            lane=Lane.BULK,
        )

    async def run(self) -> None:
        """Work until cancelled. Raises BufferClosed, in a group, when the store is closed under it."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._express.run(), name="drain of events")
            tasks.create_task(self._bulk.run(), name="drain of files")

    def kick(self) -> None:
        """Our own link came up, or a person asks: try now, whatever the breakers wait for."""
        self._express.kick()
        self._bulk.kick()

    def begin_anew(self) -> None:
        """Other credentials count from now on."""
        self._express.begin_anew()
        self._bulk.begin_anew()

    def probe(self) -> None:
        """The endpoint seems to be back: try now, though the other stations may be back as well."""
        self._express.probe()
        self._bulk.probe()

    def obey(self, duties: Duties) -> None:
        """What the level of degradation asks of uploads."""
        self._express.obey(duties)
        self._bulk.obey(duties)

    def spread_over(self, seconds: float) -> None:
        """The cloud names the time over which its stations come back after an outage."""
        self._express.spread_over(seconds)
        self._bulk.spread_over(seconds)

    @property
    def busy(self) -> bool:
        """Whether an event is on its way just now."""
        return self._express.in_flight > 0

    def progress(self) -> Progress:
        """How the upload of events goes."""
        return self._express.progress()

    def files(self) -> Progress:
        """How the upload of files goes."""
        return self._bulk.progress()
