"""Packs the support bundle: what goes in, how large it may be, and what its README says."""

from __future__ import annotations

import io
import json
import platform
import re
import shutil
import sqlite3
import ssl
import subprocess
import tarfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from appliance import __version__
from appliance.commandline.build import build_text
from appliance.doctor.patient import BufferFacts
from appliance.settings import describe
from appliance.support.material import Material
from appliance.support.redact import Redactor
from firmware.board import read_board
from statemachine.record import Record

MOST_BYTES = 2_000_000
"""Of the whole file. The parts are bounded so that they fit even if nothing can be compressed."""
MOST_LOG = 700_000
MOST_PART = 120_000
MOST_REASON = 300

README = """\
Support bundle of a meteor station, made at {time} (station's clock).

{files}

Hidden: passwords, PINs, claim codes, keys and tokens; they read [hidden].
Replaced: names of networks by ssid-1, hardware addresses by mac-1, public addresses by ip-1 and so
on; the same stand-in means the same thing everywhere in this bundle, and nothing in another one.
No recording and no message is in it. Look through it before you send it.
"""
_ABOUT = {
    "doctor.json": "what the doctor found, with evidence and actions",
    "settings.toml": "the settings in force",
    "versions.json": "program, Python, operating system, kernel, NetworkManager",
    "status.json": "the picture behind the status page",
    "metrics.txt": "the station's figures (OpenMetrics)",
    "buffer.json": "how full the buffer is, what keeps it, why messages were set aside",
    "record.json": "the state machine's record",
    "phones.json": "how far each phone came on the setup hotspot",
    "log.txt": "the last lines of the log",
}


def pack(material: Material, redactor: Redactor, now: float) -> bytes:
    """The .tar.gz, at most `MOST_BYTES` long. `now` is UTC in seconds. Blocks for about a second."""
    files = {name: content for name, content in _parts(material, redactor).items() if content is not None}
    made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    listed = "\n".join(f"{name:<14} {_ABOUT[name]}" for name in files)
    files = {"README.txt": README.format(time=made, files=listed), **files}
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"support/{name}")
            raw = content.encode("utf-8", "replace")
            member.size, member.mtime, member.mode = len(raw), int(now), 0o600
            archive.addfile(member, io.BytesIO(raw))
    return target.getvalue()


def _parts(material: Material, redactor: Redactor) -> dict[str, str | None]:
    def told(value: Any) -> str | None:
        return None if value is None else _json(redactor.value(value))

    metrics = None if material.metrics is None else _cut(redactor.text(material.metrics), MOST_PART)
    return {
        "doctor.json": told(material.findings),
        "settings.toml": _cut(redactor.text(describe(material.settings)), MOST_PART),
        "versions.json": told(versions()),
        "status.json": told(material.status),
        "metrics.txt": metrics,
        "buffer.json": told(material.buffer and _buffer(material.buffer, redactor)),
        "record.json": told(material.record and _record(material.record)),
        "phones.json": told(material.phones),
        "log.txt": None if material.log is None else _log(material.log, redactor),
    }


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    if len(text.encode("utf-8", "replace")) <= MOST_PART:
        return text
    return json.dumps({"left_out": f"larger than {MOST_PART} bytes"})


def _cut(text: str, most: int) -> str:
    """The end of a text, because what happened last matters most."""
    raw = text.encode("utf-8", "replace")
    return text if len(raw) <= most else "… cut …\n" + raw[-most:].decode("utf-8", "ignore")


def _log(lines: Sequence[str], redactor: Redactor) -> str:
    """Redacted before it is cut: half a secret would not be recognised."""
    kept, size = [], 0
    for line in reversed(lines):
        size += len(line.encode("utf-8", "replace")) + 1
        if size > MOST_LOG:
            break
        kept.append(line)
    return _cut(redactor.text("\n".join(reversed(kept)) + "\n"), MOST_LOG)


def _buffer(facts: BufferFacts, redactor: Redactor) -> dict[str, Any]:
    """Reasons are redacted before they are cut, like the log."""
    depth = {name: value for name, value in asdict(facts.depth).items() if name != "levels"}
    levels = {each.name.lower(): asdict(level) for each, level in sorted(facts.depth.levels.items())}
    reasons = [
        {"count": count, "reason": redactor.text(why)[:MOST_REASON]} for why, count in facts.dead.items()
    ]
    breakers = {"events": facts.events, "files": facts.files}
    kept = {name: asdict(each) for name, each in breakers.items() if each is not None}
    return {"levels": levels, **depth, "dead_reasons": reasons, "breakers": kept}


def _record(record: Record) -> dict[str, Any]:
    """Without the claim token, and without what a newer program wrote, of which nobody knows what it is."""
    return asdict(replace(record, claim_token=None, unknown={}))


def versions() -> dict[str, Any]:
    """What runs here. Blocks for two small programs, ten seconds at most."""
    return {
        "meteor-appliance": __version__,
        "build": build_text(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "openssl": ssl.OPENSSL_VERSION,
        "system": _system(),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "networkmanager": _networkmanager(),
        "board": read_board().model,
    }


def _system() -> str | None:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        return None


def _networkmanager() -> str | None:
    """By its client, which answers without the service too."""
    program = shutil.which("nmcli")
    if program is None:
        return None
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=5, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\d+(?:\.\d+)+", done.stdout)
    return found[0] if found else None


def default_name(now: float) -> Path:
    """A file named after the moment, in UTC."""
    return Path(time.strftime("meteor-support-%Y%m%d-%H%M%S.tar.gz", time.gmtime(now)))
