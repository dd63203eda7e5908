"""Small files that must survive a power cut: written whole or not at all."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from buffer.folders import durable_folder, sync_folder

P = ParamSpec("P")
T = TypeVar("T")


async def to_the_end(write: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs a write in a thread. A cancellation waits for it, so that no write overtakes a later one."""
    task = asyncio.create_task(asyncio.to_thread(write, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def write_atomically(path: Path, data: bytes, mode: int | None = 0o600) -> None:
    """Replaces `path`: temporary file, fsync, rename, fsync of the folder.

    After it returns the new content survives a power cut; before, the old one does. `mode` is None where the
    file system has none to give, such as FAT. Blocks for the time of two fsyncs. Raises `OSError`.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644 if mode is None else mode)
    try:
        if mode is not None:
            os.fchmod(descriptor, mode)
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(data)
            file.flush()
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    sync_folder(path.parent)


def remove_durably(path: Path) -> None:
    """Deletes `path`, if it is there, so that it stays deleted after a power cut."""
    path.unlink(missing_ok=True)
    if path.parent.is_dir():
        sync_folder(path.parent)


def private_folder(folder: Path) -> Path:
    """Makes a folder that only its owner may enter, and returns it; a new one survives a power cut."""
    if not folder.is_dir():
        durable_folder(folder)
    folder.chmod(0o700)
    return folder
