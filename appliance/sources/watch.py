"""Looking at a folder: what is in it, and since when each file has not changed. Moves nothing."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

MARK = ".done"
_UNFINISHED = (".tmp", ".part")

Identity = tuple[int, int, int]
"""Inode, size and time of change: another one means another file, or another content."""


def identity(status: os.stat_result) -> Identity:
    """The identity of a file."""
    return status.st_ino, status.st_size, status.st_mtime_ns


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in the folder. `link` is true for a symbolic link, whatever it leads to."""

    name: str
    identity: Identity
    link: bool

    @property
    def mtime_ns(self) -> int:
        """When it was last written, nanoseconds since 1970."""
        return self.identity[2]

    @property
    def stem(self) -> str:
        """The name without its last ending."""
        return PurePosixPath(self.name).stem

    @property
    def is_event(self) -> bool:
        """True for a description of an event."""
        return self.name.lower().endswith(".json") and not self.link


def look(folder: Path) -> tuple[list[Entry], set[str]]:
    """Files and links, oldest first, and the names that `.done` files mark. Blocks. Raises `OSError`."""
    entries, marked = [], set()
    with os.scandir(folder) as found:
        for item in found:
            if item.name.startswith(".") or item.name.lower().endswith(_UNFINISHED):
                continue
            if item.name.endswith(MARK):
                marked.add(item.name.removesuffix(MARK))
                continue
            try:
                status = item.stat(follow_symlinks=False)
            except FileNotFoundError:  # renamed away since the folder was read
                continue
            if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
                entries.append(Entry(item.name, identity(status), stat.S_ISLNK(status.st_mode)))
    return sorted(entries, key=lambda entry: (entry.mtime_ns, entry.name)), marked


class Settling:
    """Since when each file is as it is. Time is passed in, in seconds of a steady clock."""

    def __init__(self, settle_s: float) -> None:
        """A file that did not change for `settle_s` seconds counts as complete."""
        self._settle_s = settle_s
        self._since: dict[str, tuple[Identity, float]] = {}
        self._next: dict[str, tuple[Identity, float]] = {}

    def begin(self) -> None:
        """A new look at the folder: what is not asked for until the next one is forgotten."""
        self._since, self._next = self._next, {}

    def settled(self, path: str, now_as: Identity, now: float) -> bool:
        """Whether the file at `path`, which is `now_as`, has been like that for long enough."""
        known = self._next.get(path) or self._since.get(path)
        since = known[1] if known is not None and known[0] == now_as else now
        self._next[path] = (now_as, since)
        return now - since >= self._settle_s
