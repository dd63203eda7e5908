"""What a phone typed that is no secret, kept for its way back from a failed attempt; in memory alone.

Never the password, and for nobody else: other phones get an empty form.
"""

from __future__ import annotations

from collections import OrderedDict

from portal.accounts import Extras

KEPT_S = 900.0
"""An attempt ends within two minutes; the rest is for a person who reads and looks for the right password."""


class Drafts:
    """The last form of each client, which is known by its address. Times are monotonic seconds."""

    MAX_CLIENTS = 16

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[bytes, Extras, float]] = OrderedDict()

    def keep(self, client: str, ssid: bytes, extras: Extras, now: float) -> None:
        """In place of what was kept for this client before."""
        self._kept[client] = ssid, extras, now + KEPT_S
        self._kept.move_to_end(client)
        if len(self._kept) > self.MAX_CLIENTS:
            self._kept.popitem(last=False)

    def of(self, client: str, ssid: bytes, now: float) -> Extras:
        """What this client typed for this network; the empty form after `KEPT_S`."""
        for old in [each for each, (_, _, until) in self._kept.items() if until < now]:
            del self._kept[old]
        network, extras, _ = self._kept.get(client, (b"", Extras(), now))
        return extras if network == ssid else Extras()

    def forget(self, client: str) -> None:
        """The way is over."""
        self._kept.pop(client, None)
