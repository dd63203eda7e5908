"""Is the time right, and who vouches for it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from appliance import sentences
from appliance.doctor.visit import Visit
from appliance.doctor.words import moment, well, wrong
from portal.sentences import N_
from portal.view import Finding, Sentence

NAME = N_("Clock")
SAYS = N_("It says %(time)s.")
SOURCE = N_("Who vouches for it: %(source)s.")
AHEAD = N_("Difference to the cloud: %(seconds)s s.")
NOBODY_VOUCHES = N_("No time server has set the station's clock yet.")
LET_ASK = N_("Check that the network lets the station ask a time server (NTP).")

_SOURCES = {"ntp": N_("NTP"), "server": N_("the cloud"), "floor": N_("the time it last knew")}
_NOBODY = N_("nobody")

WRONG_S = 2.0
"""The same as on the status page."""


async def check(visit: Visit) -> Sequence[Finding]:
    """One finding. A stopped station has no skew of its own, so the cloud's answer to the doctor counts."""
    clock = visit.patient.clock
    if clock.skew is None and (way := await visit.way()) is not None and way.ahead is not None:
        clock = replace(clock, skew=way.ahead, skew_error=way.answered or 0.0)
    source = Sentence(_SOURCES.get(clock.source, _NOBODY))
    seen = [Sentence(SAYS, {"time": moment(clock.now)}), Sentence(SOURCE, {"source": source})]
    if clock.skew is not None:
        seen.append(Sentence(AHEAD, {"seconds": f"{clock.skew:+.1f}"}))
        if abs(clock.skew) - clock.skew_error >= WRONG_S:
            sentence = Sentence(sentences.CLOCK_WRONG, {"seconds": f"{clock.skew:+.0f}"})
            return [wrong("warn", "TIME-001", NAME, sentence, sentences.CLOCK_ACTION, *seen)]
    elif not clock.synchronized:
        return [wrong("warn", "DOC-006", NAME, NOBODY_VOUCHES, LET_ASK, *seen)]
    return [well(NAME, *seen)]
