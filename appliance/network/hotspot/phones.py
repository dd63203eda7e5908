"""How far each phone on the hotspot has come, for a technician who asks why a page did not open. No radio."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from types import MappingProxyType

from portal.view import PhoneTrail

log = logging.getLogger(__name__)

MAX_PHONES = 64


class Phones:
    """The first time of each step of each phone, in seconds after the hotspot opened. Bounded.

    A step is one of `portal.view.FUNNEL`. Kept when the hotspot closes, until the next one opens.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` is monotonic seconds."""
        self._now = now
        self._opened = now()
        self._seen: OrderedDict[str, dict[str, float]] = OrderedDict()

    def opened(self) -> None:
        """The hotspot opens anew; what was before is forgotten."""
        self._opened = self._now()
        self._seen.clear()

    def saw(self, phone: str, step: str) -> float | None:
        """Notes a step; the time it took when it is this phone's first, else None."""
        steps = self._seen.setdefault(phone, {})
        self._seen.move_to_end(phone)
        if len(self._seen) > MAX_PHONES:
            self._seen.popitem(last=False)
        if step in steps:
            return None
        steps[step] = round(self._now() - self._opened, 3)
        return steps[step]

    def tell(self, phone: str, step: str) -> None:
        """Notes a step, and logs a phone's first."""
        if (took := self.saw(phone, step)) is not None:
            log.info("phone %s on the hotspot: %s, %.1f s after it opened", phone, step, took)

    def trails(self) -> tuple[PhoneTrail, ...]:
        """Of each phone, the one that was seen last first."""
        return tuple(
            PhoneTrail(phone, MappingProxyType(dict(steps))) for phone, steps in reversed(self._seen.items())
        )
