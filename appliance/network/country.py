"""The country that the station is in, as the neighbours' beacons say, and telling the kernel of it.

NetworkManager does not hand beacons on, so `iw` is asked, where it is installed. Source: IEEE 802.11-2020
§9.4.2.8, the Country element.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Protocol

from appliance.network import iw

log = logging.getLogger(__name__)

DUMP_S = 10.0
LEAST = 2
"""So many networks must agree: a single one may have been brought from abroad."""

_STATION = re.compile(r"^BSS ([0-9a-f:]{17})", re.MULTILINE)
_COUNTRY = re.compile(r"^\s*Country: ([A-Z]{2})\b", re.MULTILINE)


class CountryNotSet(Exception):
    """The radio does not keep the country's rules; `reason` is a sentence's part and its own message id."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RegulatoryDomain(Protocol):
    """Says where the radio is, as its neighbours say, and sets what it may transmit."""

    async def neighbours(self) -> list[str]:
        """The country that each network of the last scan names; those that name none are left out."""

    async def set_country(self, code: str) -> None:
        """`code` is ISO 3166-1 alpha-2. It holds until the machine restarts. Raises `CountryNotSet`."""


def guess_country(beacons: Iterable[str], least: int = LEAST) -> str | None:
    """The country that most of the neighbours' networks name, one code for each network.

    None when fewer than `least` agree, or when two countries are named equally often.
    """
    counted = Counter(code for code in beacons if re.fullmatch(r"[A-Z]{2}", code)).most_common(2)
    if not counted or counted[0][1] < least:
        return None
    if len(counted) == 2 and counted[0][1] == counted[1][1]:
        return None
    return counted[0][0]


def countries_in(dump: str) -> list[str]:
    """The country of each network in the output of `iw dev … scan dump` that names one."""
    starts = [found.start() for found in _STATION.finditer(dump)]
    parts = (dump[start:end] for start, end in pairwise([*starts, len(dump)]))
    return [found[1] for part in parts if (found := _COUNTRY.search(part))]


async def read_countries(interface: str) -> list[str]:
    """What the last scan heard on `interface`; empty without `iw`, or when it cannot say."""
    path = await asyncio.to_thread(iw.program)
    if path is None:
        return []
    try:
        async with asyncio.timeout(DUMP_S):
            dump = (await iw.run(path, "dev", interface, "scan", "dump")).output
    except (OSError, TimeoutError) as error:
        log.info("no beacons to read: %s", type(error).__name__)
        return []
    return countries_in(dump)
