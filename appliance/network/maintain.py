"""Looks after a connection that is there but bad. A link that is gone belongs to the stage `reconnecting`.

Nothing here stops recording or sending; a network port that cannot do better leaves everything as it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from appliance.network.meter import QualityMeter
from appliance.network.port import JoinFailed, NetworkPort
from appliance.network.quality import Quality
from appliance.network.recovery import Action, Plan, plan

log = logging.getLogger(__name__)


class Maintainer:
    """One task: every 30 s while all is well, every 60 s with a try to reconnect while it is poor."""

    def __init__(
        self,
        network: NetworkPort,
        meter: QualityMeter,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._network = network
        self._meter = meter
        self._now = now
        self._sleep = sleep
        self._plan: Plan | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._plan = await self.step()
            await self._sleep(max(0.0, self._plan.check_at - self._now()))

    async def step(self) -> Plan:
        """One look, with what follows from it; the plan says when to look again."""
        if not self._network.link().online:
            return plan(Quality.GOOD, None, self._now())  # the stage is at work; look again in a while
        if self._network.link().borrowed:
            await self._reconnect()
        planned = plan(self._meter.quality() or Quality.GOOD, self._plan, self._now())
        if planned.action is not Action.NOTHING:
            await self._reconnect()
        return planned

    async def _reconnect(self) -> None:
        try:
            await self._network.reconnect()
        except JoinFailed as failure:
            log.info("the connection is poor, and no better one was found: %s", failure)
