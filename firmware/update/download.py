"""Files of a release come in: resumed where they broke off, never longer than signed, hashed on the way."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from firmware.durable import sync_folder, write_all
from firmware.update.manifest import Artifact
from firmware.update.port import Source
from firmware.update.reasons import Refused, because

PIECE = 1 << 18
SYNC_EVERY = 8 << 20
"""Bytes between two flushes: a power cut costs no more than so much of the download."""


def fetch(source: Source, artifact: Artifact, folder: Path, told: Callable[[int], None]) -> Path:
    """The whole and right file in `folder`. `told` hears how many bytes are there.

    Raises `Refused`: UPD-001 when it broke off and can be resumed, UPD-014 when it is another file, which is
    removed. Raises `OSError` for the disk.
    """
    path = folder / artifact.name
    if path.exists():
        if is_right(path, artifact):
            told(artifact.size)
            return path
        path.unlink()
    part = folder / (artifact.name + ".part")
    _take(source, artifact, part, told)
    part.replace(path)
    sync_folder(folder)
    return path


def is_right(path: Path, artifact: Artifact) -> bool:
    """Whether every byte is what was signed."""
    if path.stat().st_size != artifact.size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == artifact.sha256


def _take(source: Source, artifact: Artifact, part: Path, told: Callable[[int], None]) -> None:
    digest, have = _begun(part, artifact)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        flushed = have
        for piece in source.stream(artifact.name, have) if have < artifact.size else ():
            have += len(piece)
            if have > artifact.size:
                raise _another(part, artifact)
            write_all(handle, piece)
            digest.update(piece)
            told(have)
            if have - flushed >= SYNC_EVERY:
                os.fsync(handle)
                flushed = have
        os.fsync(handle)
    finally:
        os.close(handle)
    if have < artifact.size:
        raise Refused(because("UPD-001", detail=f"{artifact.name} broke off at {have} of {artifact.size}"))
    if digest.hexdigest() != artifact.sha256:
        raise _another(part, artifact)


def _begun(part: Path, artifact: Artifact) -> tuple[hashlib._Hash, int]:
    """The hash and length of what is there already; nothing of what is too long."""
    digest, have = hashlib.sha256(), 0
    if not part.exists():
        return digest, have
    if part.stat().st_size > artifact.size:
        part.unlink()
        return digest, have
    with part.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
            have += len(piece)
    return digest, have


def _another(part: Path, artifact: Artifact) -> Refused:
    part.unlink(missing_ok=True)
    return Refused(because("UPD-014", name=artifact.name))
