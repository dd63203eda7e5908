"""Whether a release is for this station, and whether now: judged from facts, without I/O or clock."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from firmware.update.manifest import Manifest, Window
from firmware.update.reasons import Reason, because
from firmware.update.version import newer, order


@dataclass(frozen=True, slots=True)
class Facts:
    """What counts of a station.

    `local` is the wall time in the station's zone, None where it is not trusted. `failed` are versions that
    did not work here, with the `retry` of the manifest that they were tried from. `asked` says that a person
    wants it now: then neither share nor window holds it up, and everything else does.
    """

    device_id: str
    running: str
    channel: str = "stable"
    local: datetime | None = None
    failed: Mapping[str, int] = field(default_factory=dict)
    asked: bool = False


def bucket(device_id: str, version: str) -> int:
    """0 to 99, the same at every look; another version shuffles the stations anew."""
    return int(hashlib.sha256(f"{device_id}:{version}".encode()).hexdigest()[:8], 16) % 100


def unfit(manifest: Manifest, facts: Facts) -> Reason | None:
    """Why this release is not for this station, or None. Time does not change it, another manifest may."""
    if manifest.channel != facts.channel:
        return because("UPD-006", channel=manifest.channel, ours=facts.channel)
    if not newer(manifest.version, facts.running):
        return because("UPD-007", version=facts.running)
    least = manifest.minimum.version
    if least is not None and order(facts.running) < order(least):
        return because("UPD-008", version=manifest.version, needed=least)
    tried = facts.failed.get(manifest.version)
    if tried is not None and manifest.retry <= tried:
        return because("UPD-009", version=manifest.version)
    return None


def hold(manifest: Manifest, facts: Facts) -> Reason | None:
    """What a fitting release waits for, or None."""
    rollout = manifest.rollout
    if rollout.paused:
        return because("UPD-010")
    if facts.asked:
        return None
    if bucket(facts.device_id, manifest.version) >= rollout.percentage:
        return because("UPD-011", percentage=str(rollout.percentage))
    if rollout.windows and not rollout.urgent and not _inside(rollout.windows, facts.local):
        return because("UPD-012", windows=", ".join(f"{each.begin}–{each.end}" for each in rollout.windows))
    return None


def _inside(windows: tuple[Window, ...], local: datetime | None) -> bool:
    """A station that does not know the time cannot say that it is night."""
    if local is None:
        return False
    now = f"{local:%H:%M}"
    return any(
        each.begin <= now < each.end if each.begin <= each.end else now >= each.begin or now < each.end
        for each in windows
    )
