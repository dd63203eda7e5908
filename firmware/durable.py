"""Files that must survive a power cut: written whole or not at all. Every function blocks for its flushes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

PRIVATE = 0o600


def write_durably(path: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Replaces `path`: new file, flush, rename, flush of the folder. Raises `OSError`.

    After it returns the new content survives a power cut; before, the old one does.
    """
    fresh = path.with_name(path.name + ".new")
    write_new(fresh, [data], mode)
    fresh.replace(path)
    sync_folder(path.parent)


def write_new(path: Path, pieces: Iterable[bytes], mode: int = PRIVATE) -> None:
    """Writes a file from its beginning and flushes it. Its name is durable after `sync_folder`."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    try:
        for piece in pieces:
            write_all(handle, piece)
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, data: bytes) -> None:
    """All of it, however few bytes the system takes at once."""
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]


def sync_folder(folder: Path) -> None:
    """Flushes which names a folder has."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
