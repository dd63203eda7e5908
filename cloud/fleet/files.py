"""Where the stations' files lie on disk, and how bytes get there durably. Knows no database and no HTTP.

A file is `<folder>/<device>/<first two digits>/<sha256>`; what still arrives is `<device>/parts/<upload>`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from pathlib import Path

from cloud.errors import StoreError
from cloud.security.vault import sync_folder

_READ_AT_ONCE = 1 << 20


class MediaFiles:
    """All blocking: call from a worker thread. Every method raises `StoreError` when the disk fails."""

    def __init__(self, folder: Path, min_free_bytes: int) -> None:
        self._folder, self._min_free = folder, min_free_bytes

    def final(self, device_id: str, sha256: str) -> Path:
        """Where a complete file lies or will lie."""
        return self._folder / device_id / sha256[:2] / sha256

    def part(self, device_id: str, upload_id: str) -> Path:
        """Where an upload collects its bytes."""
        return self._folder / device_id / "parts" / upload_id

    def size(self, path: Path) -> int | None:
        """Bytes on disk; None for no file."""
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed(error) from error

    def append(self, path: Path, offset: int, data: bytes) -> None:
        """Makes the file `offset` bytes plus `data`, on disk when this returns."""
        try:
            new = not path.exists()
            _folders(path.parent, self._folder)
            if shutil.disk_usage(path.parent).free - len(data) < self._min_free:
                raise StoreError("The disk is nearly full.")
            with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
                file.truncate(offset)  # what was written but never acknowledged goes
                file.seek(offset)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if new:
                sync_folder(path.parent)
        except OSError as error:
            raise _failed(error) from error

    def sha256(self, path: Path) -> str:
        """The hash of what is on disk, in hex."""
        digest = hashlib.sha256()
        try:
            with path.open("rb") as file:
                while piece := file.read(_READ_AT_ONCE):
                    digest.update(piece)
        except OSError as error:
            raise _failed(error) from error
        return digest.hexdigest()

    def finish(self, part: Path, final: Path) -> None:
        """Gives a complete file its name."""
        try:
            _folders(final.parent, self._folder)
            part.rename(final)
            sync_folder(final.parent)
        except OSError as error:
            raise _failed(error) from error

    def drop(self, path: Path) -> None:
        """Removes a file that may be gone already."""
        try:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        except OSError as error:
            raise _failed(error) from error

    def remove_all(self, device_id: str) -> None:
        """Removes every file of a station that is no more."""
        try:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self._folder / device_id)
        except OSError as error:
            raise _failed(error) from error

    def ready(self) -> str | None:
        """Why no file could be stored now; None when one could."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            probe = self._folder / ".probe"
            probe.write_bytes(b"ok")
            probe.unlink()
            if shutil.disk_usage(self._folder).free < self._min_free:
                return "The disk is nearly full."
        except OSError as error:
            return f"The disk refuses files: {error.strerror}."
        return None


def _folders(folder: Path, top: Path) -> None:
    """Makes missing folders below `top` durable, one after the other."""
    if folder.is_dir():
        return
    if folder != top:
        _folders(folder.parent, top)
    folder.mkdir(parents=folder == top, exist_ok=True, mode=0o700)
    sync_folder(folder.parent)


def _failed(error: OSError) -> StoreError:
    return StoreError(f"The disk failed: {error.strerror or error}.")
