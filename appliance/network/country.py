"""The country that the station is in, as the neighbours' beacons say, and telling the kernel of it.

NetworkManager does not hand beacons on, so `iw` is asked, where it is installed. Source: IEEE 802.11-2020
§9.4.2.8, the Country element.
"""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Protocol

log = logging.getLogger(__name__)

DUMP_S = 10.0
LEAST = 2
"""So many networks must agree: a single one may have been brought from abroad."""

_STATION = re.compile(r"^BSS ([0-9a-f:]{17})", re.MULTILINE)
_COUNTRY = re.compile(r"^\s*Country: ([A-Z]{2})\b", re.MULTILINE)


class RegulatoryDomain(Protocol):
    """Sets what the radio may transmit; needs root, so it is a verb of another program."""

    async def set_country(self, code: str) -> None:
        """`code` is ISO 3166-1 alpha-2. Durable for the kernel. Raises `OSError`."""


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
    program = shutil.which("iw", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        return []
    try:
        async with asyncio.timeout(DUMP_S):
            dump = await _output(program, "dev", interface, "scan", "dump")
    except (OSError, TimeoutError) as error:
        log.info("no beacons to read: %s", type(error).__name__)
        return []
    return countries_in(dump)


async def set_country(code: str) -> None:
    """Tells the kernel where the radio is (ISO 3166-1 alpha-2), until the next start of the machine.

    Needs root and `iw`; says in the log when it cannot be done.
    """
    program = shutil.which("iw", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        log.warning("the radio is not told that it is in %s: iw is not installed", code)
        return
    try:
        async with asyncio.timeout(DUMP_S):
            await _output(program, "reg", "set", code)
    except (OSError, TimeoutError) as error:
        log.warning("the radio is not told that it is in %s: %s", code, error or type(error).__name__)
    else:
        log.info("the radio is in %s", code)


async def _output(program: str, *arguments: str) -> str:
    """What a program prints; it does not outlive its caller."""
    child = await asyncio.create_subprocess_exec(
        program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        output, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return output.decode("utf-8", "replace")
