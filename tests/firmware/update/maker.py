"""A maker of releases for tests: keys in memory, roots, manifests and archives of small programs."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from firmware.update.manifest import MANIFEST_TYPE
from firmware.update.trust import ROOT_TYPE
from protocol.clock import to_text
from scripts.release import artifact, publish, root_document, signed

ISSUED = datetime(2026, 5, 1, tzinfo=UTC)
DIGEST = "0" * 64


def keys(*names: str) -> dict[str, Ed25519PrivateKey]:
    """New keys by name."""
    return {name: Ed25519PrivateKey.generate() for name in names}


def values(**changes: Any) -> dict[str, Any]:
    """A right manifest with changes; a change to None takes the field away."""
    whole = {
        "version": "1.1.0",
        "serial": 5,
        "issued_at": to_text(ISSUED),
        "expires_at": to_text(ISSUED + timedelta(days=365)),
        "artifacts": [{"name": "runtime.tar", "size": 10, "sha256": DIGEST}],
    } | changes
    return {name: value for name, value in whole.items() if value is not None}


def archive(path: Path, files: Mapping[str, bytes]) -> Path:
    """A runtime as a tar file; `run` may be executed."""
    with tarfile.open(path, "w") as target:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755 if name == "run" else 0o644
            target.addfile(member, io.BytesIO(content))
    return path


@dataclass
class Maker:
    """Who publishes."""

    roots: dict[str, Ed25519PrivateKey] = field(default_factory=lambda: keys("r1", "r2", "r3"))
    releases: dict[str, Ed25519PrivateKey] = field(default_factory=lambda: keys("release"))
    serial: int = 0

    def root(self, version: int = 1, *, expires: datetime | None = None, signers: Any = None) -> bytes:
        """A root document of these keys, signed by them or by `signers`."""
        ends = expires or ISSUED + timedelta(days=3650)
        value = root_document(version, self.roots, self.releases, expires=ends)
        return signed(value, self.roots if signers is None else signers, ROOT_TYPE)

    def manifest(self, **changes: Any) -> bytes:
        """A signed manifest without files."""
        return signed(values(**changes), self.releases, MANIFEST_TYPE)

    def release(self, folder: Path, version: str, files: Mapping[str, bytes], **changes: Any) -> Path:
        """A published folder with one archive."""
        folder.mkdir(parents=True, exist_ok=True)
        path = archive(folder / f"runtime-{version}.tar", files)
        self.serial += 1
        whole = values(version=version, serial=self.serial, artifacts=[artifact(path)]) | changes
        publish(folder, [path], whole, self.releases)
        return folder
