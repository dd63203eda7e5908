"""The release manifest: what a release is, who may have it and when. Pure; signatures are in `trust`.

There is no "not before": a board without a clock could not tell. Fields that this program does not know are
ignored, so that the format may grow; what it knows must be right, and the error names the field.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from firmware.update.reasons import Refused, because
from firmware.update.version import PATTERN
from protocol.clock import parse

MANIFEST_TYPE = "application/vnd.meteor.release+json"
MANIFEST_NAME = "release.json"
MOST_BYTES = 256 * 1024
"""Of a manifest or a root document with its signatures."""
MOST_ARTIFACT = 2 << 30

Version = Annotated[str, Meta(pattern=PATTERN)]
Count = Annotated[int, Meta(ge=0, le=1 << 53)]
FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}\Z")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Moment = Annotated[str, Meta(min_length=20, max_length=40)]
TimeOfDay = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z")]

_PLACE = re.compile(r"`\$\.?([^`]*)`")


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a release, pinned by size in bytes and SHA-256. `unpacked` bytes is what it becomes."""

    name: FileName
    size: Annotated[int, Meta(ge=1, le=MOST_ARTIFACT)]
    sha256: Digest
    unpacked: Annotated[int, Meta(ge=0, le=4 * MOST_ARTIFACT)] = 0


class Window(msgspec.Struct, frozen=True, kw_only=True, rename={"begin": "from", "end": "to"}):
    """A time of day at the station in which it may change; it may go over midnight."""

    begin: TimeOfDay
    end: TimeOfDay


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """Who gets it now. `urgent` skips the windows and nothing else."""

    percentage: Annotated[int, Meta(ge=0, le=100)] = 100
    paused: bool = False
    urgent: bool = False
    windows: Annotated[tuple[Window, ...], Meta(max_length=8)] = ()


class Minimum(msgspec.Struct, frozen=True, kw_only=True, rename={"version": "from"}):
    """What must be there already: `from` is the least version that may change to this one."""

    version: Version | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One release.

    `serial` grows with every manifest of a channel, `epoch` when older releases must never come back, and
    `retry` when stations on which this version failed shall try it once more.
    """

    version: Version
    serial: Annotated[int, Meta(ge=1, le=1 << 53)]
    epoch: Count = 0
    retry: Count = 0
    channel: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,31}\Z")] = "stable"
    issued_at: Moment
    expires_at: Moment
    artifacts: Annotated[tuple[Artifact, ...], Meta(min_length=1, max_length=16)]
    minimum: Minimum = Minimum()
    rollout: Rollout = Rollout()
    notes: Annotated[dict[str, Annotated[str, Meta(max_length=4000)]], Meta(max_length=20)] = {}

    @property
    def expires(self) -> datetime:
        """When a station that knows the time takes it no more."""
        return parse(self.expires_at)

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(each.size for each in self.artifacts)

    @property
    def room(self) -> int:
        """Bytes that must be free: the files, what becomes of them, and a fifth for everything else."""
        return (self.size + sum(max(each.unpacked, each.size) for each in self.artifacts)) * 6 // 5


def parse_manifest(payload: bytes) -> Manifest:
    """The manifest in signed bytes. Raises `Refused` that names the field."""
    try:
        manifest = msgspec.json.decode(payload, type=Manifest)
    except msgspec.ValidationError as error:
        raise _mistake(_PLACE.search(str(error)), str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(because("UPD-003", field="$", detail=str(error))) from None
    names = [each.name for each in manifest.artifacts]
    if len(set(names)) < len(names):
        raise Refused(because("UPD-003", field="artifacts", detail="two files have one name"))
    for field, text in (("issued_at", manifest.issued_at), ("expires_at", manifest.expires_at)):
        try:
            parse(text)
        except ValueError as error:
            raise Refused(because("UPD-003", field=field, detail=str(error))) from None
    if manifest.expires <= parse(manifest.issued_at):
        raise Refused(because("UPD-003", field="expires_at", detail="it lies before issued_at"))
    return manifest


def _mistake(place: re.Match[str] | None, text: str) -> Refused:
    field = place[1] if place and place[1] else "$"
    if missing := re.search(r"missing required field `([^`]+)`", text):
        field = missing[1] if field == "$" else f"{field}.{missing[1]}"
    return Refused(because("UPD-003", field=field, detail=text.split(" - at ")[0]))
