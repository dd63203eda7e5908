"""How a new version proves itself: each probe with its patience, and healthy time that adds up. Pure."""

from __future__ import annotations

from firmware.update.probes import Probe, probes
from firmware.update.reasons import Reason, because
from firmware.update.sight import Sight

PROBATION_S = 900.0
"""Healthy work before a version is kept; balena's patience for the network is as long."""
STABLE_S = 10.0
"""All probes well for so long, and the new version is called started."""
LONGEST_S = 4 * 3600.0
"""A version that is well, ill and well again for so long does not work."""
LONGEST_STEP_S = 60.0
"""What lies between two looks counts as healthy up to so much: nobody looked meanwhile."""
MOST_RESTARTS = 3
"""So many new processes during a trial are crashes, however well each of them looks."""


class Examination:
    """Looks of one start of one version; times are monotonic seconds."""

    def __init__(self, before: Sight, began: float) -> None:
        self._before = before
        self._began = self._at = began
        self._earlier: Sight | None = None
        self._ticks = 0
        self._restarts = 0
        self._since: dict[str, float] = {}
        self._ill_since = began
        self._episode: dict[Probe, int] = {}
        self._healthy = 0.0

    @property
    def healthy(self) -> float:
        """Seconds of healthy work so far."""
        return self._healthy

    def look(self, now: Sight, at: float) -> Reason | None:
        """Takes a look; the reason when this version must go."""
        failing = [probe for probe in probes() if not probe.well(self._before, now, self._earlier)]
        if not failing and not self._episode and self._earlier is not None:
            self._healthy += min(max(at - self._at, 0.0), LONGEST_STEP_S)
        self._earlier, self._at = now, at
        self._count_restarts(now)
        self._follow(failing, at)
        if self._restarts >= MOST_RESTARTS:
            return because("UPD-017")
        return because(self._cause().code) if self._is_lost(failing, at) else None

    def _count_restarts(self, now: Sight) -> None:
        """A count of turns that went back is that of another process."""
        if now.ticks is not None:
            self._restarts += now.ticks < self._ticks
            self._ticks = now.ticks

    def _follow(self, failing: list[Probe], at: float) -> None:
        """An episode lasts from the first failure until everything is well at one look."""
        self._since = {probe.name: self._since.get(probe.name, at) for probe in failing}
        if not self._episode:
            self._ill_since = at
        if not failing:
            self._episode = {}
        for probe in failing:
            self._episode[probe] = self._episode.get(probe, 0) + 1

    def _is_lost(self, failing: list[Probe], at: float) -> bool:
        """Whether patience has ended: with one probe, with all that took turns, or with the whole trial."""
        if not failing:
            return False
        one = any(at - self._since[probe.name] >= probe.patience for probe in failing)
        all_ = at - self._ill_since >= max(probe.patience for probe in self._episode)
        return one or all_ or at - self._began >= LONGEST_S

    def _cause(self) -> Probe:
        """What explains most, among what failed at a third of the looks at least: the rest was passing."""
        most = max(self._episode.values())
        return min((probe for probe, count in self._episode.items() if 3 * count >= most), key=_order)


def _order(probe: Probe) -> int:
    return probe.order
