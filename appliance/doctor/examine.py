"""Runs all checks at once, each with its time limit, and puts their findings in one order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from appliance.doctor import board, camera, clock, cloud, disk, network, preflight, sending, station
from appliance.doctor.patient import Patient
from appliance.doctor.visit import Family, Visit
from appliance.doctor.words import span
from portal.sentences import N_
from portal.view import FINDINGS, Finding, Sentence

log = logging.getLogger(__name__)

LIMIT_S = 25.0
"""For each family; the way to the cloud takes about 20 s when every step of it is silent."""

FAMILIES: tuple[tuple[str, Family], ...] = (
    (station.NAME, station.check),
    (network.RADIO, network.radio),
    (network.ATTEMPT, network.attempt),
    (network.NETWORK, network.link),
    (network.QUALITY, network.quality),
    (cloud.CLOUD, cloud.check),
    (clock.NAME, clock.check),
    (camera.NAME, camera.check),
    (disk.NAME, disk.check),
    (sending.NAME, sending.check),
    (board.MEMORY, board.check),
    (preflight.CAMERA, preflight.check),
    (station.NAME, station.notices),
)
"""In the order in which a person looks: the station, its network from near to far, its work, its hardware."""

LATE = N_("This check did not end within %(time)s.")
BROKEN = N_("This check failed itself; the log has the details.")
AGAIN = N_("Check again in a minute.")


async def examine(patient: Patient, limit: float = LIMIT_S) -> list[Finding]:
    """All findings, in the order of the families. Takes `limit` seconds at most, and never fails."""
    visit = Visit(patient)
    try:
        found = await asyncio.gather(*(_within(name, family, visit, limit) for name, family in FAMILIES))
    finally:
        await visit.end()
    return _once([each for findings in found for each in findings])


async def _within(name: str, family: Family, visit: Visit, limit: float) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(limit):
            return await family(visit)
    except TimeoutError:
        return [_not_known(name, Sentence(LATE, {"time": span(limit)}))]
    except Exception:
        # The outermost edge of a check: one that is broken must not hide what the others have found.
        log.exception("the check %r failed", name)
        return [_not_known(name, Sentence(BROKEN))]


def _not_known(name: str, why: Sentence) -> Finding:
    return Finding("", Sentence(name), "unknown", why, (), Sentence(AGAIN))


def _once(findings: list[Finding]) -> list[Finding]:
    """What the station says of itself counts only where no check has found the same."""
    told = {each.code for each in findings if each.evidence != (Sentence(station.SAYS_SO),)}
    return [
        each for each in findings if each.evidence != (Sentence(station.SAYS_SO),) or each.code not in told
    ]


def problems_first(findings: Sequence[Finding]) -> list[Finding]:
    """What matters most first, otherwise in order."""
    return sorted(findings, key=lambda each: FINDINGS.index(each.verdict))
