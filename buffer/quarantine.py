"""Moving a damaged buffer out of the way: which files, where to, how many are kept; nothing is read here.

`quarantine/<number>/` beside the buffer holds the database with its log. The mark `pending` in it says that
what can be read has not been taken back yet; it is there before the first file moves and goes last, so a
power cut at any point leaves a state from which the next start goes on.
"""

from __future__ import annotations

import logging
import shutil
from contextlib import suppress
from pathlib import Path

from buffer.folders import sync_folder

_LOG = logging.getLogger(__name__)
_FOLDER = "quarantine"
_PENDING = "pending"
_SUFFIXES = ("", "-wal", "-shm")
KEPT = 2
"""So many damaged buffers stay for a person to look at."""


def move_aside(path: Path, reason: str) -> Path:
    """Move the database and its log into a new folder, which is handed back. Raises OSError.

    Nobody may have the database open.
    """
    root = path.parent / _FOLDER
    root.mkdir(exist_ok=True)
    folders = _folders(root)
    for old in folders[: max(0, len(folders) - KEPT + 1)]:
        shutil.rmtree(old, ignore_errors=True)
    folder = root / f"{int(folders[-1].name) + 1 if folders else 1:06}"
    folder.mkdir()
    with suppress(OSError):  # a full disk has room for a name, not always for its content
        (folder / _PENDING).touch()
        (folder / _PENDING).write_text(reason, encoding="utf-8")
    _move(path, folder)
    _LOG.error("the buffer is damaged (%s); it was moved to %s and a fresh one is used", reason, folder)
    return folder


def finish_moving(path: Path) -> None:
    """Complete a move that a power cut interrupted: a log whose database is gone already follows it."""
    folders = _folders(path.parent / _FOLDER)
    if folders and not path.exists() and (folders[-1] / path.name).exists():
        _move(path, folders[-1])


def pending(path: Path) -> list[tuple[Path, str]]:
    """The folders from which nothing was taken back yet, oldest first, each with the reason."""
    found = []
    for folder in _folders(path.parent / _FOLDER):
        with suppress(FileNotFoundError):
            found.append((folder, (folder / _PENDING).read_text(encoding="utf-8", errors="replace")))
    return found


def settled(folder: Path) -> None:
    """What could be taken back from this folder was."""
    (folder / _PENDING).unlink(missing_ok=True)


def _folders(root: Path) -> list[Path]:
    return sorted(folder for folder in root.glob("*") if folder.is_dir() and folder.name.isdecimal())


def _move(path: Path, folder: Path) -> None:
    # The database goes first: a log left alone is seen at the next start, a database without its log is not.
    for suffix in _SUFFIXES:
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(folder / (path.name + suffix))
    for place in (folder, path.parent):
        sync_folder(place)
