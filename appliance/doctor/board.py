"""How the computer fares: heat, power and memory."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.doctor.visit import Visit
from appliance.doctor.words import size, well, wrong
from portal.sentences import N_
from portal.view import Finding, Sentence

HEAT = N_("Temperature")
DEGREES = N_("%(number)s °C")
HOT = N_("The processor is too hot, so it works more slowly.")
COOL = N_("Put the station into the shade, or give it more air.")
HOT_FROM = 80.0
"""°C from which a Raspberry Pi throttles (its documentation, "Frequency management and thermal control")."""
TOO_HOT_FROM = 85.0

POWER = N_("Power supply")
WEAK = N_("The supply voltage is too low.")
STRONGER = N_("Use the power supply that was made for this computer, with a short cable.")
REPORTS_LOW = N_("The board reports undervoltage.")
REPORTS_GOOD = N_("The board reports no undervoltage.")

MEMORY = N_("Memory")
PART = N_("%(part)s free of %(whole)s")
SHORT = N_("The memory is nearly used up.")
STOP_OTHERS = N_("Stop other programs on the station, or start it again.")
LEAST_FREE = 0.1
MUCH_TOO_LITTLE = 0.03


async def check(visit: Visit) -> Sequence[Finding]:
    """What a sensor tells; where there is none there is no finding."""
    patient = visit.patient
    found = []
    if patient.host is not None and (heat := patient.host.cpu.temperature) is not None:
        found.append(_heat(heat))
    if patient.board.undervoltage is not None:
        found.append(_power(patient.board.undervoltage))
    if patient.host is not None and patient.host.memory.total and patient.host.memory.free is not None:
        found.append(_memory(patient.host.memory.free, patient.host.memory.total))
    return found


def _heat(degrees: float) -> Finding:
    seen = Sentence(DEGREES, {"number": f"{degrees:.0f}"})
    if degrees < HOT_FROM:
        return well(HEAT, seen)
    return wrong("fail" if degrees >= TOO_HOT_FROM else "warn", "DOC-010", HEAT, HOT, COOL, seen)


def _power(low: bool) -> Finding:
    if not low:
        return well(POWER, Sentence(REPORTS_GOOD))
    return wrong("fail", "DOC-011", POWER, WEAK, STRONGER, Sentence(REPORTS_LOW))


def _memory(free: int, total: int) -> Finding:
    seen = Sentence(PART, {"part": size(free), "whole": size(total)})
    if free >= total * LEAST_FREE:
        return well(MEMORY, seen)
    verdict = "fail" if free < total * MUCH_TOO_LITTLE else "warn"
    return wrong(verdict, "DOC-012", MEMORY, SHORT, STOP_OTHERS, seen)
