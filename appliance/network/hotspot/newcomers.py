"""Who comes to the hotspot's radio and does not get in: pure, from what the kernel and the supplicant say.

A phone counts as one that got in when it has an address: keys are exchanged in plain frames, and some radios
fail only at the first protected one. One that was there and went without an address did not, unless it had
the wrong key: that is its owner's affair and says nothing about the radio.

Counting ends with the first phone that got in. Who came is told as long as the hotspot is open.
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

log = logging.getLogger(__name__)

MOST = 64
"""Phones at once; more are not remembered."""

_PHONE = "(?:[0-9a-f]{2}:){5}[0-9a-f]{2}"
_STATION = re.compile(rf"^(?P<interface>\S+): (?P<what>new|del) station (?P<phone>{_PHONE})$")
_WRONG_KEY = re.compile(rf"AP-STA-POSSIBLE-PSK-MISMATCH (?P<phone>{_PHONE})\b")


class Visitors(Protocol):
    """Keeps what each phone did, by its hardware address."""

    def joined(self, hardware: str) -> None:
        """It is on the radio."""
        ...

    def wrong_key(self, hardware: str) -> None:
        """It is there with a wrong key."""
        ...


class Newcomers:
    """`tell` hears of each phone that got in (True) or went without (False), `visitors` of each that came."""

    def __init__(self, interface: str, tell: Callable[[bool], None], visitors: Visitors) -> None:
        self._interface = interface
        self._tell = tell
        self._visitors = visitors
        self._counting = True
        self._wrong_key_told = False
        self._trying: OrderedDict[str, bool] = OrderedDict()
        """By hardware address, for as long as it is on the radio: whether its key may be the right one."""

    def kernel(self, line: str) -> None:
        """A line of `iw event`."""
        found = _STATION.match(line)
        if found is None or found["interface"] != self._interface:
            return
        if found["what"] == "new":
            self._trying[found["phone"]] = True
            if len(self._trying) > MOST:
                self._trying.popitem(last=False)
            self._visitors.joined(found["phone"])
        elif self._trying.pop(found["phone"], False) and self._counting:
            self._tell(False)

    def supplicant(self, line: str) -> None:
        """An event of the supplicant's control socket."""
        found = _WRONG_KEY.search(line)
        if found is not None and found["phone"] in self._trying:
            self._trying[found["phone"]] = False
            self._visitors.wrong_key(found["phone"])
            if not self._wrong_key_told:
                self._wrong_key_told = True
                log.info("a phone came to the hotspot with a wrong key")

    def leased(self) -> None:
        """One of them got an address. Which one does not matter: the radio works."""
        self._trying.clear()
        self._counting = False
        self._tell(True)

    def blind(self) -> None:
        """Nobody tells of wrong keys, so who went without says nothing about the radio."""
        self._counting = False
