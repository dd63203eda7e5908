"""Versions in plain folders side by side, and a symbolic link that says which one the next start runs.

`<root>/usr/lib/meteor-appliance/<version>/` holds one version, `current` beside it points to one. A version
is unpacked under a hidden name, flushed, and renamed: a folder with a version's name is whole.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from firmware.durable import sync_folder, write_new
from firmware.update.manifest import MOST_ARTIFACT
from firmware.update.port import InstallFailed
from firmware.update.version import is_version

PLACE = "usr/lib/meteor-appliance"
CURRENT = "current"
SEAL = ".seal"
MOST_FILES = 20_000
_PIECE = 1 << 18


class Service(Protocol):
    """Whoever starts the program."""

    def pid(self) -> int | None:
        """The process that runs, None if there is none."""

    def restart(self) -> None:
        """Stop the program and start it anew. Raises `OSError`."""


class Folders:
    """The backend over folders."""

    def __init__(self, root: Path, service: Service, proc: Path = Path("/proc")) -> None:
        self._place = root / PLACE
        self._service = service
        self._proc = proc

    @property
    def current(self) -> Path:
        """The pointer."""
        return self._place / CURRENT

    def running(self) -> str | None:
        """The version whose folder the running process works in."""
        pid = self._service.pid()
        if pid is None:
            return None
        try:
            folder = (self._proc / str(pid) / "cwd").readlink()
        except OSError:
            return None
        inside = folder.parent == self._place.resolve() and is_version(folder.name)
        return folder.name if inside else None

    def pointed(self) -> str | None:
        """The version that the next start runs."""
        try:
            name = os.readlink(self.current)  # noqa: PTH115 - the text of the link, not a path
        except OSError:
            return None
        return name if is_version(name) and (self._place / name).is_dir() else None

    def installed(self) -> frozenset[str]:
        """Every version that is whole."""
        if not self._place.is_dir():
            return frozenset()
        return frozenset(each.name for each in self._place.iterdir() if is_version(each.name))

    def free(self) -> int:
        """Bytes that can be used where versions lie."""
        found = os.statvfs(self._place)
        return found.f_bavail * found.f_frsize

    def install(self, version: str, files: Sequence[Path], seal: str) -> None:
        """Unpacks archives beside the others; nothing changes for a version that is there already."""
        target, fresh = self._place / version, self._place / f".{version}.new"
        if target.is_dir():
            if _seal_of(target) == seal:
                return
            if version in (self.running(), self.pointed()):
                raise InstallFailed(f"{version} is in use and has another content")
            self.remove(version)
        self.sweep()
        fresh.mkdir()
        for path in files:
            _unpack(path, fresh)
        write_new(fresh / SEAL, [seal.encode()], 0o644)
        for folder in (fresh, *(each for each in fresh.rglob("*") if each.is_dir())):
            sync_folder(folder)
        fresh.rename(target)
        sync_folder(self._place)

    def switch(self, version: str) -> None:
        """Renames a new link over the old one."""
        if not (self._place / version).is_dir():
            raise FileNotFoundError(f"there is no version {version}")
        fresh = self._place / f".{CURRENT}.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(version)
        fresh.replace(self.current)
        sync_folder(self._place)

    def restart(self) -> None:
        """Starts what is pointed to."""
        self._service.restart()

    def remove(self, version: str) -> None:
        """Takes the name away first, so that no half version is seen."""
        if version in (self.running(), self.pointed()):
            raise OSError(f"version {version} is in use")
        self.sweep()
        gone = self._place / f".{version}.gone"
        (self._place / version).rename(gone)
        sync_folder(self._place)
        shutil.rmtree(gone)

    def sweep(self) -> None:
        """Removes what an install or a removal left that was cut."""
        for left in self._place.glob(".*"):
            if left.is_symlink():
                left.unlink()
            elif left.is_dir():
                shutil.rmtree(left)


def _seal_of(folder: Path) -> str:
    try:
        return (folder / SEAL).read_text()
    except OSError:
        return ""


def _unpack(archive: Path, folder: Path) -> None:
    """Files and folders alone, inside the folder: a version needs no links, devices or other owners."""
    try:
        with tarfile.open(archive) as opened:
            left, count = 4 * MOST_ARTIFACT, 0
            for member in opened:
                count, left = count + 1, left - member.size
                if count > MOST_FILES or left < 0:
                    raise InstallFailed(f"{archive.name} is larger than a version may be")
                _unpack_one(opened, member, folder)
    except tarfile.TarError as error:
        raise InstallFailed(f"{archive.name} is no archive ({error})") from None


def _unpack_one(opened: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        raise InstallFailed(f"{member.name} leads out of the version's folder")
    target = folder / name
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    content = opened.extractfile(member) if member.isreg() else None
    if content is None:
        raise InstallFailed(f"{member.name} is neither file nor folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    write_new(target, _pieces(content), 0o755 if member.mode & 0o100 else 0o644)


def _pieces(content: IO[bytes]) -> Iterator[bytes]:
    while piece := content.read(_PIECE):
        yield piece
