"""How well the set-up hotspot protects itself, and what to try when a radio cannot do that: pure.

Why there is a ladder: some radios of Raspberry Pis cannot install the keys that protected management frames
need, and others not even those of WPA2 in access-point mode (raspberrypi/linux#7247, firmware-nonfree#59).

What is heard from the air can be made up by anybody near, so it never opens the hotspot. It leads to WPA,
which has the same key and the same cipher (CCMP); the last step is taken only when the station itself sees
that its radio does not transmit, or where a person asked for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

HANDSHAKES = 3
"""So many phones in a row that came and did not get in count as a hotspot that does not work."""


class Rung(Enum):
    """From the best to the last resort."""

    WPA2 = "wpa2"  # RSN with CCMP, management frames unprotected
    WPA = "wpa"  # the older way of saying the same, with CCMP
    OPEN = "open"  # no key in the air; the page must ask for a code


@dataclass(frozen=True, slots=True)
class Ladder:
    """Where we stand. `open_allowed` only where the page asks for a code; `proven` once a phone got in, and
    from then on nobody outside can bring it down."""

    rung: Rung = Rung.WPA2
    open_allowed: bool = False
    failed_handshakes: int = 0
    proven: bool = False

    def down(self) -> Ladder | None:
        """One rung further, or None when there is none."""
        if self.rung is Rung.WPA2:
            return replace(self, rung=Rung.WPA, failed_handshakes=0, proven=False)
        if self.rung is Rung.WPA and self.open_allowed:
            return replace(self, rung=Rung.OPEN, failed_handshakes=0, proven=False)
        return None

    def handshake_failed(self) -> Ladder | None:
        """After a phone did not get in; a step down, or the same rung, or None at the end. Never `OPEN`."""
        if self.proven:
            return self
        after = replace(self, failed_handshakes=self.failed_handshakes + 1)
        if after.failed_handshakes < HANDSHAKES:
            return after
        return self.down() if self.rung is Rung.WPA2 else None

    def client_came_in(self) -> Ladder:
        """This rung works."""
        return replace(self, failed_handshakes=0, proven=True)
