"""Folders whose names survive a power cut; blocking, for a thread. What lies in them is not known here."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def durable_folder(folder: Path) -> None:
    """Make this folder and those above it; its name is on the disk then, also when a cut run had made it.

    Raises `OSError`.
    """
    if not folder.is_dir():
        durable_folder(folder.parent)
        folder.mkdir(exist_ok=True)
    with suppress(PermissionError):  # a folder that we may not even read was made by others, long ago
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk. Raises `OSError`."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
