"""How far each phone on the hotspot has come, for a technician who asks why a page did not open. No radio.

A phone without an address is known by its hardware address alone. That is never kept: its row has a short
hash of it under a key that lives as long as the program, and takes the phone's address once it has one.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType

from portal.view import PhoneTrail

log = logging.getLogger(__name__)

MAX_PHONES = 64
NAME_BYTES = 3
"""Of the hash that stands for a phone without an address."""

_MARK = "#"


@dataclass(slots=True)
class _Row:
    steps: dict[str, float] = field(default_factory=dict)
    wrong_key: float | None = None


class Phones:
    """The first time of each step of each phone, in seconds after the hotspot opened. Bounded.

    A step is one of `portal.view.FUNNEL`. Kept when the hotspot closes, until the next one opens.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` is monotonic seconds."""
        self._now = now
        self._key = secrets.token_bytes(16)
        self._opened = now()
        self._seen: OrderedDict[str, _Row] = OrderedDict()
        self._addresses: OrderedDict[str, str] = OrderedDict()
        """Of those that had a name first, by that name."""
        self._told = 0

    def opened(self) -> None:
        """The hotspot opens anew; what was before is forgotten."""
        self._opened = self._now()
        self._seen.clear()
        self._addresses.clear()
        self._told = 0

    def saw(self, phone: str, step: str) -> float | None:
        """Notes a step; the time it took when it is this phone's first, else None."""
        steps = self._row(phone).steps
        if step in steps:
            return None
        steps[step] = self._time()
        return steps[step]

    def tell(self, phone: str, step: str) -> None:
        """Notes a step, and logs a phone's first."""
        if (took := self.saw(phone, step)) is not None:
            log.info("phone %s on the hotspot: %s, %.1f s after it opened", phone, step, took)

    def joined(self, hardware: str) -> None:
        """One came to the radio."""
        took = self.saw(name := self._name(hardware), "joined")
        if took is not None and self._told < MAX_PHONES:  # whoever makes up addresses does not fill the log
            self._told += 1
            log.info("phone %s on the hotspot: joined, %.1f s after it opened", name, took)

    def wrong_key(self, hardware: str) -> None:
        """One that is on the radio proved to have another key."""
        self._row(self._name(hardware)).wrong_key = self._time()

    def leased(self, hardware: str, address: str) -> None:
        """One got an address, which is its name from now on."""
        name = self._anonymous(hardware)
        if (was := self._seen.pop(name, None)) is not None:
            row = self._row(address)
            row.steps = was.steps | row.steps
            row.wrong_key = row.wrong_key if row.wrong_key is not None else was.wrong_key
        self._addresses[name] = address
        if len(self._addresses) > MAX_PHONES:
            self._addresses.popitem(last=False)
        self.tell(address, "lease")

    def trails(self) -> tuple[PhoneTrail, ...]:
        """Of each phone, the one that was seen last first."""
        return tuple(
            PhoneTrail(phone, MappingProxyType(dict(row.steps)), row.wrong_key)
            for phone, row in reversed(self._seen.items())
        )

    def _row(self, phone: str) -> _Row:
        row = self._seen.setdefault(phone, _Row())
        self._seen.move_to_end(phone)
        if len(self._seen) > MAX_PHONES:
            # Hardware addresses can be made up by anybody near, ours cannot.
            unnamed = (each for each in self._seen if each.startswith(_MARK))
            del self._seen[next(unnamed, next(iter(self._seen)))]
        return row

    def _time(self) -> float:
        return round(self._now() - self._opened, 3)

    def _name(self, hardware: str) -> str:
        name = self._anonymous(hardware)
        return self._addresses.get(name, name)

    def _anonymous(self, hardware: str) -> str:
        hashed = hashlib.blake2s(hardware.lower().encode(), key=self._key, digest_size=NAME_BYTES)
        return _MARK + hashed.hexdigest()
