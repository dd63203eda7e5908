"""Looks at network, disk and battery, keeps the level of degradation, and tells the parts what it asks for.

The rules are in `buffer/degradation.py`; only the gathering and the telling live here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from appliance.network.meter import QualityMeter
from appliance.network.quality import Quality
from buffer.breaker import BreakerState
from buffer.degradation import Conditions, Degradation, Duties, Judgement, duties
from buffer.drains import Drains

log = logging.getLogger(__name__)

LOOK_S = 2.0


class Governor:
    """One task. `supplies` gives used share of the disk, whether it fails, and charge of a battery."""

    def __init__(
        self,
        drain: Drains,
        meter: QualityMeter,
        supplies: Callable[[], tuple[float | None, bool, float | None]],
        now: Callable[[], float],
        spare: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """`spare` is told at every look whether to do without what only makes things nicer."""
        self._drain = drain
        self._meter = meter
        self._supplies = supplies
        self._now = now
        self._spare = spare
        self._degradation = Degradation()

    @property
    def judgement(self) -> Judgement:
        """The level now, and why."""
        return self._degradation.judgement

    @property
    def duties(self) -> Duties:
        """What the level asks for."""
        return duties(self.judgement.level)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """One look, and what follows from it."""
        before = self.judgement
        judged = self._degradation.judge(self._conditions(), self._now())
        # Sending frees the disk: supplies may ask for many things, but not for keeping what could go.
        self._drain.obey(duties(judged.network))
        self._spare(not duties(judged.level).extras)
        if judged.level is not before.level:
            log.warning(
                "degradation level %d (was %d)%s",
                judged.level,
                before.level,
                f": {judged.reason}" if judged.reason else "",
            )

    def _conditions(self) -> Conditions:
        breaker = self._drain.progress().breaker
        half_open = breaker.state is BreakerState.HALF_OPEN
        disk_used, disk_fails, battery = self._supplies()
        return Conditions(
            reachable=breaker.state is BreakerState.CLOSED,
            trying=half_open and breaker.failures_in_row == 0,
            poor=self._meter.quality() in (Quality.POOR, Quality.NONE),
            disk_used=disk_used,
            disk_fails=disk_fails,
            battery=battery,
        )
