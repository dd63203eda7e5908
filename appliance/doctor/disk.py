"""Is there room, and does the disk take what is written, in time?"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance import sentences
from appliance.doctor.patient import Patient
from appliance.doctor.visit import Visit
from appliance.doctor.words import follows, size, span, well, wrong
from appliance.recognised import CODES
from appliance.status import DISK_LOW
from portal.sentences import N_
from portal.view import Finding, Sentence

NAME = N_("Storage")
SHARE = N_("%(folder)s is %(share)s %% full, %(free)s free.")
NO_FILES = N_("%(folder)s has no room for one more file.")
REFUSED = N_("%(folder)s: %(reason)s.")
TOOK = N_("Writing %(size)s to the disk took %(time)s.")
SLOW = N_("The disk is slow.")
FASTER = N_("Use a faster card or disk if this stays.")

EMPTY = 0.01
"""The free share below which nothing can be relied upon."""
SLOW_S = 1.0
"""A card that takes longer for so little holds up every event, whose yes waits for such a write."""
SAMPLE = 64_000


@dataclass(frozen=True, slots=True)
class Room:
    """A file system: bytes, and whether it has room for one more file."""

    total: int
    free: int
    files: bool = True


def room_of(folder: Path) -> Room | None:
    """The room at `folder` for who is not root; None where there is no such place."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    used = (found.f_blocks - found.f_bfree) * found.f_frsize
    free = found.f_bavail * found.f_frsize
    return Room(used + free, free, found.f_files == 0 or found.f_favail > 0)


async def check(visit: Visit) -> Sequence[Finding]:
    """One finding for the room, one for writing."""
    patient = visit.patient
    folder = patient.settings.data_dir
    room = await visit.in_thread(room_of, folder)
    return [_room(patient, folder, room), await visit.in_thread(_written, patient, folder)]


def _room(patient: Patient, folder: Path, room: Room | None) -> Finding:
    if room is None or not room.total:
        return follows(NAME)
    full = f"{100 * (1 - room.free / room.total):.0f}"
    seen = [Sentence(SHARE, {"folder": str(folder), "share": full, "free": size(room.free)})]
    if not room.files:
        seen.append(Sentence(NO_FILES, {"folder": str(folder)}))
    if patient.disk_full or not room.files or room.free < room.total * EMPTY:
        return wrong("fail", "BUF-003", NAME, *CODES["BUF-003"], *seen)
    if room.free < room.total * DISK_LOW:
        return wrong("warn", "BUF-003", NAME, sentences.DISK_LOW, sentences.DISK_ACTION, *seen)
    return well(NAME, *seen)


WRITING = N_("Writing to the disk")


def _written(patient: Patient, folder: Path) -> Finding:
    """Writes a little and flushes it. What the buffer said before counts as well."""
    took = try_to_write(folder)
    if isinstance(took, OSError):
        if not patient.running and not folder.exists():
            return follows(WRITING)  # it never ran, so there is nothing to write to
        seen = Sentence(REFUSED, {"folder": str(folder), "reason": took.strerror or str(took)})
        code = "BUF-003" if took.errno in (errno.ENOSPC, errno.EDQUOT) else "BUF-005"
        return wrong("fail", code, WRITING, *CODES[code], seen)
    seen = Sentence(TOOK, {"size": size(SAMPLE), "time": span(took)})
    if patient.buffer_trouble is not None:
        told = patient.buffer_trouble
        return wrong("fail", told.code, WRITING, told.sentence, told.action, seen)
    if took > SLOW_S:
        return wrong("warn", "DOC-009", WRITING, SLOW, FASTER, seen)
    return well(WRITING, seen)


def try_to_write(folder: Path) -> float | OSError:
    """Seconds for a small flushed write in `folder`, or why there was none."""
    tried = folder / f".doctor-{os.getpid()}"
    began = time.monotonic()
    try:
        with tried.open("wb") as file:
            file.write(os.urandom(SAMPLE))
            file.flush()
            os.fsync(file.fileno())
        took = time.monotonic() - began
        tried.unlink()
    except OSError as error:
        with contextlib.suppress(OSError):  # there may be nothing, and nothing may be removable
            tried.unlink()
        return error
    return took
