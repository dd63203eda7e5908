"""Sets the country whose rules the radio keeps, with `iw`, and looks whether the kernel took it.

The kernel forgets it when the machine restarts, and asks for CAP_NET_ADMIN. It answers before its database
is read, so the answer alone says nothing. Source: the kernel's `net/wireless/reg.c` and iw's `reg.c`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass

from appliance.network import iw
from appliance.network.country import CountryNotSet
from portal.sentences import N_

log = logging.getLogger(__name__)

SET_S = 5.0
POLL_S = 0.2

NO_IW = N_("the program `iw` is not installed")
NOT_ALLOWED = N_("the station is not allowed to set it")
NOT_TAKEN = N_("the radio did not take it over")

INTERSECTION = "98"
"""While the station is in a network that names another country, only what both allow is used."""

_SCOPE = re.compile(r"^(global|phy#\d+)(.*)$")
_COUNTRY = re.compile(r"^country ([0-9A-Z]{2}):")


@dataclass(frozen=True, slots=True)
class Domain:
    """What `iw reg get` shows. `country` is the kernel's ("00" is the world domain, "" not told).

    `self_managed` are radios whose driver follows its own country: theirs cannot be set. A radio of "99" (as
    a Raspberry Pi's) has a table of its own, and hands the kernel's country to its firmware all the same.
    """

    country: str = ""
    self_managed: tuple[tuple[str, str], ...] = ()


def domain_in(text: str) -> Domain:
    """From the output of `iw reg get`."""
    country, managed, scope = "", list[tuple[str, str]](), ("global", "")
    for line in text.splitlines():
        if found := _SCOPE.match(line):
            scope = found[1], found[2]
        elif found := _COUNTRY.match(line):
            if scope[0] == "global":
                country = country or found[1]
            elif "self-managed" in scope[1]:
                managed.append((scope[0], found[1]))
    return Domain(country, tuple(managed))


async def set_country(code: str) -> None:
    """Has the kernel keep the rules of `code` until the machine restarts. Raises `CountryNotSet`."""
    path = await asyncio.to_thread(iw.program)
    if path is None:
        raise CountryNotSet(NO_IW)
    try:
        async with asyncio.timeout(SET_S):
            domain = await _set(path, code)
    except (OSError, TimeoutError) as error:
        log.info("iw does not set the country: %s", error or type(error).__name__)
        raise CountryNotSet(NOT_TAKEN) from None
    for radio, own in domain.self_managed:
        log.info("%s: its driver keeps a country of its own (%s)", radio, own)


async def _set(path: str, code: str) -> Domain:
    domain = await _domain(path)
    if domain.country == code:
        return domain  # needs no right to be so
    answer = await iw.run(path, "reg", "set", code)
    if answer.status:
        log.info("iw reg set %s: %s", code, answer.complaint)
        raise CountryNotSet(NOT_ALLOWED if "not permitted" in answer.complaint else NOT_TAKEN)
    while True:
        domain = await _domain(path)
        if domain.country in (code, INTERSECTION):
            return domain
        await asyncio.sleep(POLL_S)


async def _domain(path: str) -> Domain:
    return domain_in((await iw.run(path, "reg", "get")).output)
