"""Whether the set-up hotspot is in the air, as the kernel has it and not as NetworkManager believes."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass

from appliance.network import iw

log = logging.getLogger(__name__)

LOOK_S = 5.0

_LINE = re.compile(r"^\t(type|ssid|channel) (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Radio:
    """What `iw dev IFACE info` tells; empty and None for what it does not."""

    kind: str = ""
    ssid: str = ""
    channel: int | None = None


def radio_in(text: str) -> Radio:
    """From the output of `iw dev IFACE info`. The kernel names SSID and channel only once it transmits."""
    told = dict(_LINE.findall(text))
    number = told.get("channel", "").partition(" ")[0]
    return Radio(told.get("type", ""), told.get("ssid", ""), int(number) if number.isdigit() else None)


class RadioCheck:
    """Implements `HotspotCheck` with `iw`. Where it cannot look, it believes, and says so once."""

    def __init__(self) -> None:
        self._blind = ""

    async def is_in_the_air(self, interface: str, ssid: str, channel: int) -> bool:
        """An access point of this name; another channel than the wished one is told in the log."""
        said = await self._look(interface)
        if said is None:
            return True
        radio = radio_in(said)
        if (radio.kind, radio.ssid) != ("AP", ssid):
            log.warning("%s is no access point %s: %s %s", interface, ssid, radio.kind, radio.ssid)
            return False
        if radio.channel not in (None, channel):
            log.warning("the hotspot is on channel %s and not on %d", radio.channel, channel)
        return True

    async def _look(self, interface: str) -> str | None:
        path = await asyncio.to_thread(iw.program)
        if path is None:
            self._cannot("iw is not installed; install the package iw")
            return None
        try:
            async with asyncio.timeout(LOOK_S):
                answer = await iw.run(path, "dev", interface, "info")
        except (OSError, TimeoutError) as error:
            self._cannot(str(error) or f"iw did not end in {LOOK_S:.0f} s")
            return None
        if answer.status:
            self._cannot(answer.complaint)
            return None
        return answer.output

    def _cannot(self, why: str) -> None:
        if why != self._blind:
            log.warning("nobody can look whether the hotspot is in the air: %s", why)
        self._blind = why
