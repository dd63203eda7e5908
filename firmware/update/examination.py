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


class Examination:
    """Looks of one start of one version; times are monotonic seconds."""

    def __init__(self, before: Sight, began: float) -> None:
        self._before = before
        self._began = self._at = began
        self._earlier: Sight | None = None
        self._since: dict[str, float] = {}
        self._healthy = 0.0
        self.failing: Probe | None = None

    @property
    def healthy(self) -> float:
        """Seconds of healthy work so far."""
        return self._healthy

    def look(self, now: Sight, at: float) -> Reason | None:
        """Takes a look; the reason when this version must go."""
        failing = [probe for probe in probes() if not probe.well(self._before, now, self._earlier)]
        if not failing and self.failing is None and self._earlier is not None:
            self._healthy += min(max(at - self._at, 0.0), LONGEST_STEP_S)
        self._earlier, self._at = now, at
        self._since = {probe.name: self._since.get(probe.name, at) for probe in failing}
        self.failing = failing[0] if failing else None
        lost = [probe for probe in failing if at - self._since[probe.name] >= probe.patience]
        if not lost and self.failing is not None and at - self._began >= LONGEST_S:
            lost = failing
        return because(lost[0].code) if lost else None
