"""`support-bundle`: writes the redacted file, by the running station or beside a stopped one."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from pathlib import Path

import aiohttp

from appliance.commandline.exits import CommandFailed, Exit
from appliance.commandline.local import NotRunning, call
from appliance.doctor.examine import examine
from appliance.doctor.stopped import patient_of, read_record
from appliance.doctor.told import told
from appliance.paths import Paths
from appliance.settings import Settings
from appliance.support.bundle import default_name, pack
from appliance.support.known import look
from appliance.support.material import Material

PATIENCE_S = 120.0


async def save(settings: Settings, file: Path | None) -> str:
    """Writes the bundle and says where. Raises `CommandFailed`."""
    target = file or default_name(time.time())
    if target.exists():
        raise CommandFailed(Exit.FAILED, f"{target} is there already.", "Name another file.")
    content = await _content(settings)
    await asyncio.to_thread(_write, target, content)
    return f"{target} ({len(content) / 1000:.0f} kB). Look into it, then send it to whoever helps you."


async def _content(settings: Settings) -> bytes:
    try:
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        _, answer = await call(settings.control_socket, "GET", "/support-bundle", timeout=timeout)
    except NotRunning:
        return await _beside(settings, silent=False)
    except TimeoutError:
        return await _beside(settings, silent=True)
    return base64.b64decode(answer["bundle"])


async def _beside(settings: Settings, *, silent: bool) -> bytes:
    """From what lies on the disk."""
    patient, paths = await patient_of(settings, silent=silent), Paths(settings.data_dir)
    findings = told(await examine(patient))
    record = await asyncio.to_thread(read_record, paths)
    material = Material(settings=settings, findings=findings, buffer=patient.buffer, record=record)
    ssids = [patient.attempt.ssid] if patient.attempt else []
    known = await asyncio.to_thread(look, settings, os.environ, ssids)
    return await asyncio.to_thread(pack, material, known.redactor(), time.time())


def _write(target: Path, content: bytes) -> None:
    """For its owner's eyes, and never over something else."""
    try:
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
    except PermissionError:
        raise
    except OSError as error:
        hint = "Name another file, or make room on the disk."
        raise CommandFailed(Exit.FAILED, f"{target}: {error.strerror}.", hint) from None
