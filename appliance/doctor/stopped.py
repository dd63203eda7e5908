"""Fills in the patient for a station that does not run: what lies on its disk, and what the machine tells."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil

from appliance import hardware
from appliance.doctor.patient import BoardFacts, BufferFacts, ClockFacts, Patient
from appliance.identity.credentials import read_credentials
from appliance.network.host import default_link
from appliance.network.networkmanager.service import has_networkmanager
from appliance.network.stored import StoredNetworks
from appliance.paths import Paths
from appliance.recognised import explained
from appliance.settings import Settings
from appliance.telemetry.host import HostTelemetry
from appliance.uplink.client import trust
from appliance.uplink.time import CloudTime
from buffer.errors import NoBuffer, StoreError
from buffer.reader import open_reader
from portal.view import Notice, Sentence
from statemachine.record import Record, RecordDamaged, decode


async def patient_of(settings: Settings, *, silent: bool = False, root: Path = Path("/")) -> Patient:
    """Reads what may be read; what may not is None. `silent` is a station that runs and does not answer."""
    backend = settings.network.backend
    if backend == "auto":
        backend = "networkmanager" if await has_networkmanager() else "host"
    found = await asyncio.to_thread(_on_disk, settings, root)
    host = await HostTelemetry(settings.data_dir).facts()
    return replace(found, silent=silent, backend=backend, host=host)


def _on_disk(settings: Settings, root: Path) -> Patient:
    paths = Paths(settings.data_dir)
    record, (buffer, trouble) = read_record(paths), read_buffer(paths)
    return Patient(
        settings=settings,
        clock=_clock(paths),
        board=look_at_board(root),
        host=None,
        cloud_url=settings.cloud.url,
        tls=partial(trust, settings.cloud.ca_certificate, settings.cloud.url),
        running=False,
        state=record.state.value if record else "",
        claimed=_is_claimed(paths),
        link=default_link(),
        known=_known(paths),
        attempt=record.network_attempt if record else None,
        buffer=buffer,
        buffer_trouble=trouble,
    )


def look_at_board(root: Path = Path("/")) -> BoardFacts:
    """The computer. Blocks for a few small files."""
    return BoardFacts.read(root, os.cpu_count(), psutil.virtual_memory().total)


def read_buffer(paths: Paths) -> tuple[BufferFacts | None, Notice | None]:
    """What waits, or why nobody can tell. Blocks; a buffer that was never made is no trouble."""
    try:
        with open_reader(paths.buffer_file) as reader:
            return BufferFacts(reader.depth(), reader.dead_reasons()), None
    except NoBuffer:
        return None, None
    except StoreError as error:
        sentence, action = explained(error.code, error.sentence)
        return None, Notice(error.code, sentence, action or Sentence(error.action))


def read_record(paths: Paths) -> Record | None:
    """The state machine's record, as far as it can be read."""
    try:
        return decode(paths.record.read_bytes())
    except (OSError, RecordDamaged):
        return None


def _is_claimed(paths: Paths) -> bool:
    try:
        return read_credentials(paths.credentials) is not None
    except (OSError, ValueError):
        return False


def _known(paths: Paths) -> int | None:
    """Networks that this program stores itself; those of NetworkManager are not asked for."""
    stored = StoredNetworks(paths.networks)
    try:
        stored.load()
    except (OSError, ValueError):
        return None
    return len(stored.all())


def _clock(paths: Paths) -> ClockFacts:
    time = CloudTime(hardware.clock(paths))
    quality = time.system.quality()
    return ClockFacts(time.moment(), quality.synchronized, quality.source.value)
