"""Whether a radio can join WPA3 networks (SAE), from `iw phy`, before a person waits for an attempt in vain.

A Raspberry Pi's radio does it with some firmware and not with other (RPi-Distro/firmware-nonfree#41,
raspberrypi/linux#7610). Only a clear no counts: where nobody can look, or the driver is to do it in its
firmware, it is tried.
"""

from __future__ import annotations

import asyncio
import logging
import re
from enum import Enum
from typing import Protocol

from appliance.network import iw

log = logging.getLogger(__name__)

LOOK_S = 5.0

_WIPHY = re.compile(r"^\twiphy (\d+)$", re.MULTILINE)
_BY_SUPPLICANT = "Device supports SAE with AUTHENTICATE command"
_BY_FIRMWARE = "[ SAE_OFFLOAD ]"
_PROTECTED_FRAMES = "CMAC (00-0f-ac:6)"
_WHOLE = "Supported commands:"


class Sae(Enum):
    """What a radio tells of itself."""

    CAN = "can"
    PERHAPS = "perhaps"
    CANNOT = "cannot"


class SaeLook(Protocol):
    """Looks at a radio."""

    async def look(self, interface: str) -> Sae:
        """What it can do."""
        ...


class Believe:
    """For a machine without a way to look."""

    async def look(self, interface: str) -> Sae:
        """Tries it."""
        return Sae.PERHAPS


def sae_in(text: str) -> Sae:
    """From the output of `iw phy`. WPA3 also wants protected management frames, so without their cipher it
    cannot be."""
    if _WHOLE not in text:
        return Sae.PERHAPS
    if "Supported Ciphers:" in text and _PROTECTED_FRAMES not in text:
        return Sae.CANNOT
    if _BY_SUPPLICANT in text:
        return Sae.CAN
    return Sae.PERHAPS if _BY_FIRMWARE in text else Sae.CANNOT


class RadioSae:
    """Implements `SaeLook` with `iw`; a radio is looked at once."""

    def __init__(self) -> None:
        self._seen: dict[str, Sae] = {}

    async def look(self, interface: str) -> Sae:
        """`PERHAPS` where nobody can look."""
        if interface not in self._seen and (said := await self._ask(interface)):
            self._seen[interface] = sae_in(said)
            log.info("%s and WPA3: %s", interface, self._seen[interface].value)
        return self._seen.get(interface, Sae.PERHAPS)

    async def _ask(self, interface: str) -> str:
        path = await asyncio.to_thread(iw.program)
        if path is None:
            return ""
        try:
            async with asyncio.timeout(LOOK_S):
                device = await iw.run(path, "dev", interface, "info")
                found = _WIPHY.search(device.output)
                return (await iw.run(path, f"phy#{found[1]}", "info")).output if found else ""
        except (OSError, TimeoutError):
            return ""
