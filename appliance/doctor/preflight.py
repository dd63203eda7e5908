"""Is this computer what a station is recommended to have? It warns, and never keeps a station from working.

Makers count gigabytes before the kernel and the file system take their part, so a little less is enough.
"""

from __future__ import annotations

from collections.abc import Sequence

from appliance.doctor.disk import room_of
from appliance.doctor.visit import Visit
from appliance.doctor.words import size, well, wrong
from portal.sentences import N_
from portal.view import Finding, Sentence

CORES = 4
MEMORY = 4 * 10**9
STORAGE = 32 * 10**9
MEMORY_LEFT = 0.9
STORAGE_LEFT = 0.85
"""What the kernel leaves of 4 GB, and a file system of a card of 32 GB, measured on Raspberry Pi OS."""

PART = N_("Hardware: %(part)s")
LESS = N_("This computer has less than what is recommended for a station.")
LARGER = N_("Nothing has to be done at once; use a larger one if recordings get lost.")
HAS = N_("%(found)s; recommended: %(wanted)s.")
CAMERA = N_("Camera")
NO_CAMERA = N_("No camera was found at this computer.")
CONNECT = N_("Connect the camera and start the station again. A camera on the network is not seen here.")
NO_DEVICE = N_("Video devices: none.")
FOUND = N_("Video devices: %(names)s.")


async def check(visit: Visit) -> Sequence[Finding]:
    """Processor, memory, storage and camera."""
    patient = visit.patient
    room = await visit.in_thread(room_of, patient.settings.data_dir)
    found = []
    if (cores := patient.board.cores) is not None:
        found.append(_compared(N_("Processor cores"), str(cores), str(CORES), enough=cores >= CORES))
    if (memory := patient.board.memory) is not None:
        enough = memory >= MEMORY * MEMORY_LEFT
        found.append(_compared(N_("Memory"), size(memory), size(MEMORY), enough=enough))
    if room is not None:
        enough = room.total >= STORAGE * STORAGE_LEFT
        found.append(_compared(N_("Storage"), size(room.total), size(STORAGE), enough=enough))
    return [*found, _camera(patient.board.cameras)]


def _compared(part: str, has: str | Sentence, wanted: str | Sentence, *, enough: bool) -> Finding:
    name = Sentence(PART, {"part": Sentence(part)})
    seen = Sentence(HAS, {"found": has, "wanted": wanted})
    return well(name, seen) if enough else wrong("warn", "DOC-013", name, LESS, LARGER, seen)


def _camera(names: Sequence[str]) -> Finding:
    name = Sentence(PART, {"part": Sentence(CAMERA)})
    if not names:
        return wrong("warn", "DOC-014", name, NO_CAMERA, CONNECT, Sentence(NO_DEVICE))
    return well(name, Sentence(FOUND, {"names": ", ".join(names)}))
