"""The pinned sources of what Debian does not have: fetched from the Python package index, and checked."""

from __future__ import annotations

import hashlib
import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import msgspec

INDEX = "https://pypi.org/simple"


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
    if not (target.exists() and _digest(target.read_bytes()) == pinned.sha256):
        try:
            content = _get(_address(pinned))
        except OSError as error:
            raise SourceUnavailable(f"{pinned.file}: {error}") from error
        if _digest(content) != pinned.sha256:
            raise SourceUnavailable(f"{pinned.file} is not the file that was pinned: {_digest(content)}")
        folder.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return target


def _address(pinned: Pinned) -> str:
    """Where the index has the file (PEP 691)."""
    index = os.environ.get("PIP_INDEX_URL", INDEX).rstrip("/")
    page = msgspec.json.decode(_get(f"{index}/{pinned.project}/"))
    for each in page["files"]:
        if each["filename"] == pinned.file:
            return str(each["url"])
    raise SourceUnavailable(f"{index} has no {pinned.file}")


def _get(address: str) -> bytes:
    asked = urllib.request.Request(address, headers={"Accept": "application/vnd.pypi.simple.v1+json, */*"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        content: bytes = answer.read()
        return content


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
