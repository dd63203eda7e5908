"""Do camera programs hand in events, and can they?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from appliance.doctor.patient import Patient
from appliance.doctor.visit import Visit
from appliance.doctor.words import follows, moment, span, well, wrong
from portal.sentences import N_
from portal.view import Finding, Sentence

NAME = N_("Camera program")
NEVER = N_("No camera program has handed in an event yet.")
LONG_AGO = N_("No event has come for %(time)s.")
LOOK_AT_PROGRAM = N_("Check that the camera program runs and writes into %(folder)s.")
NEWEST = N_("The newest event came at %(time)s.")
NONE_FOUND = N_("There is no event in %(folder)s.")
SINCE_START = N_("Events since the start: %(count)s.")

FOLDER = N_("Folder for camera programs")
NOT_WRITABLE = N_("Nothing can be put into the folder for camera programs.")
MEND = N_("Check the owner, the rights and the disk of %(folder)s.")
REASON = N_("%(folder)s: %(reason)s.")
CAN_BE_WRITTEN = N_("%(folder)s can be written.")

SILENT_S = 48 * 3600.0
"""Two nights: one may be overcast."""


async def check(visit: Visit) -> Sequence[Finding]:
    """What came, and whether more can come."""
    patient = visit.patient
    folder = patient.settings.spool
    taken = patient.intake.last if patient.intake else None
    last = await visit.in_thread(newest_event, folder, taken)
    events = _events(patient, folder, last)
    if not patient.running and not await visit.in_thread(patient.settings.data_dir.exists):
        return [events, follows(FOLDER)]  # the station has never run, and makes the folder itself
    return [events, await visit.in_thread(_writable, folder)]


def _events(patient: Patient, folder: Path, last: datetime | None) -> Finding:
    seen = [] if patient.intake is None else [_count(patient.intake.accepted)]
    action = Sentence(LOOK_AT_PROGRAM, {"folder": str(folder)})
    if last is None:
        nothing = Sentence(NONE_FOUND, {"folder": str(folder / "accepted")})
        return wrong("warn", "DOC-007", NAME, NEVER, action, nothing, *seen)
    newest, ago = Sentence(NEWEST, {"time": moment(last)}), (patient.clock.now - last).total_seconds()
    if ago > SILENT_S:
        return wrong("warn", "DOC-007", NAME, Sentence(LONG_AGO, {"time": span(ago)}), action, newest, *seen)
    return well(NAME, newest, *seen)


def _count(accepted: int) -> Sentence:
    return Sentence(SINCE_START, {"count": str(accepted)})


def _writable(folder: Path) -> Finding:
    """Tries it: rights alone do not tell of a disk that is read-only or full."""
    tried = folder / f".doctor-{os.getpid()}"
    try:
        tried.write_bytes(b"")
        tried.unlink()
    except OSError as error:
        seen = Sentence(REASON, {"folder": str(folder), "reason": error.strerror or str(error)})
        action = Sentence(MEND, {"folder": str(folder)})
        return wrong("fail", "DOC-008", FOLDER, NOT_WRITABLE, action, seen)
    return well(FOLDER, Sentence(CAN_BE_WRITTEN, {"folder": str(folder)}))


def newest_event(spool: Path, last: datetime | None = None) -> datetime | None:
    """When the last event came: `last`, or what the spool's `accepted` tells of earlier runs. Blocks."""
    times = [] if last is None else [last]
    try:
        entries = list(os.scandir(spool / "accepted"))
    except OSError:
        entries = []
    for entry in entries:
        try:
            times.append(datetime.fromtimestamp(entry.stat(follow_symlinks=False).st_mtime, UTC))
        except OSError:
            continue  # it is pruned meanwhile
    return max(times, default=None)
