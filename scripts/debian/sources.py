"""The pinned sources of what Debian does not have: fetched by pip from its own index, and checked."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pinned:
    """One file of one project on the index."""

    project: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        """The name of the source archive."""
        return f"{self.project}-{self.version}.tar.gz"


NMCLI = Pinned("nmcli", "1.8.0", "608dd5ecb9db5052b5401d7623eaf5c0eb40e4d11a5fcca7f76cd9205756872f")


class SourceUnavailable(Exception):
    """The source cannot be had, or is not what was pinned."""


def fetch(pinned: Pinned, folder: Path) -> Path:
    """The archive in this folder, fetched if it is not there. Raises `SourceUnavailable`."""
    target = folder / pinned.file
    if target.exists() and _digest(target) == pinned.sha256:
        return target
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", pinned.project),
        *("--dest", str(folder), f"{pinned.project}=={pinned.version}"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0 or not target.exists():
        raise SourceUnavailable(f"{pinned.file}: {done.stderr.strip()[-500:]}")
    if (found := _digest(target)) != pinned.sha256:
        target.unlink()
        raise SourceUnavailable(f"{pinned.file} is not the file that was pinned: {found}")
    return target


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
