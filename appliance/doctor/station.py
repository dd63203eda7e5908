"""Does the program run, and what does it say of itself?"""

from __future__ import annotations

from collections.abc import Sequence

from appliance import __version__
from appliance.doctor.visit import Visit
from appliance.doctor.words import span, well, wrong
from appliance.sentences import LAST_ERROR_ACTION
from portal.sentences import N_
from portal.view import Finding, Sentence

NAME = N_("Station")
NOT_RUNNING = N_("The station's program does not run.")
SILENT = N_("The station's program runs, but does not answer.")
START = N_("Start it with `meteor-appliance run`, or switch the station off and on.")
NOBODY = N_("Nobody listens at %(place)s.")
NO_ANSWER = N_("No answer within %(time)s.")
STATE = N_("State %(state)s, version %(version)s.")
SAYS_SO = N_("The station says so itself.")

PATIENCE_S = 60.0
"""How long the command line waits for a station that runs."""


async def check(visit: Visit) -> Sequence[Finding]:
    """One finding, and those of the station's own notices that no other family looks at."""
    patient = visit.patient
    if patient.silent:
        seen = Sentence(NO_ANSWER, {"time": span(PATIENCE_S)})
        return [wrong("fail", "DOC-001", NAME, SILENT, START, seen)]
    if not patient.running:
        seen = Sentence(NOBODY, {"place": str(patient.settings.control_socket)})
        return [wrong("fail", "DOC-001", NAME, NOT_RUNNING, START, seen)]
    return [well(NAME, Sentence(STATE, {"state": patient.state, "version": __version__}))]


async def notices(visit: Visit) -> Sequence[Finding]:
    """What the status page warns of; `examine` leaves out what a check has found by itself."""
    return [
        wrong(
            "warn",
            each.code,
            NAME,
            each.sentence,
            each.action or Sentence(LAST_ERROR_ACTION),
            Sentence(SAYS_SO),
        )
        for each in visit.patient.notices
    ]
