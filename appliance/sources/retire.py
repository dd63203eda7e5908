"""Putting away what the spool is done with: to `accepted/` or `rejected/`, bounded; blocking, for a thread.

An accepted `x.json` first moves to `.claimed/`, where it is looked at once more: a program may put a new file
under an old name at any moment, and only what was read is put away. Then it moves to `.accepted/`, then its
files to `accepted/`, then itself. Wherever the power fails, the next start can go on: what was claimed goes
back and is a duplicate if it was committed; what was accepted is finished, and no picture is taken for an
event of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from appliance.sources.inside import open_folder
from appliance.sources.watch import MARK, Identity, identity

ACCEPTED = "accepted"
REJECTED = "rejected"
CLAIMED = ".claimed"
STAGED = ".accepted"
_REASON = ".reason.txt"
_MAX_NAME = 255


class Retirement:
    """The folders of one spool."""

    def __init__(self, spool: Path, *, keep_s: float, keep_bytes: int) -> None:
        """Keep each of the two folders below `keep_bytes` and its files for `keep_s` seconds."""
        self._spool = spool
        self._keep_s = keep_s
        self._keep_bytes = keep_bytes

    def prepare(self) -> None:
        """Makes the folders. Raises `OSError`."""
        for folder in (ACCEPTED, REJECTED, CLAIMED, STAGED):
            (self._spool / folder).mkdir(parents=True, exist_ok=True)

    def accept(self, name: str, read: Identity, files: Iterable[tuple[PurePosixPath, Identity]]) -> None:
        """Puts away an accepted description, which was `read`, and the files that belong to it."""
        claimed = self._spool / CLAIMED / name
        (self._spool / name).rename(claimed)
        if identity(claimed.lstat()) != read:
            claimed.rename(_free(self._spool, name))
            return
        claimed.rename(self._spool / STAGED / name)
        for path, known in files:
            self._move(path, ACCEPTED, known)
        self._finish(name)

    def staged(self) -> list[str]:
        """Descriptions whose event is committed but that a crash left half put away.

        Those whose event may not be committed go back to where they came from.
        """
        for claimed in (self._spool / CLAIMED).iterdir():
            claimed.rename(_free(self._spool, claimed.name))
        return sorted(path.name for path in (self._spool / STAGED).iterdir())

    def read_staged(self, name: str) -> bytes:
        """The text of one of them."""
        return (self._spool / STAGED / name).read_bytes()

    def resume(self, name: str, files: Iterable[PurePosixPath]) -> None:
        """The second half of `accept`, for files that are not newer than the commit."""
        committed_ns = (self._spool / STAGED / name).lstat().st_ctime_ns
        for path in files:
            self._move(path, ACCEPTED, not_after=committed_ns)
        self._finish(name)

    def _finish(self, name: str) -> None:
        self._move(PurePosixPath(STAGED, name), ACCEPTED)
        self._unmark(name)

    def accept_alone(self, name: str, read: Identity) -> None:
        """Puts away an accepted file to which nothing belongs."""
        self._move(PurePosixPath(name), ACCEPTED, read)
        self._unmark(name)

    def reject(self, name: str, read: Identity, files: Iterable[PurePosixPath], reason: str) -> None:
        """Puts away a refused file with `<stem>.reason.txt` beside it; what belongs to it goes first."""
        for path in files:
            self._move(path, REJECTED)
        target = self._move(PurePosixPath(name), REJECTED, read)
        if target is not None:
            text = target.with_name(_cut(target.stem, len(_REASON)) + _REASON)
            text.write_text(reason + "\n", encoding="utf-8", errors="backslashreplace")
        self._unmark(name)

    def _unmark(self, name: str) -> None:
        for marker in (name + MARK, PurePosixPath(name).stem + MARK):
            if len(os.fsencode(marker)) <= _MAX_NAME:
                (self._spool / marker).unlink(missing_ok=True)

    def _move(
        self, path: PurePosixPath, folder: str, read: Identity | None = None, not_after: int | None = None
    ) -> Path | None:
        """Moves a file, unless it is gone, was put away before, or is not the one that was `read`.

        `not_after` (nanoseconds since 1970) leaves a newer file alone. No link is followed on the way.
        """
        if path.parts[0] in (ACCEPTED, REJECTED):
            return None
        with suppress(FileNotFoundError, NotADirectoryError), open_folder(self._spool, path.parent) as parent:
            status = os.stat(path.name, dir_fd=parent, follow_symlinks=False)
            if read is not None and identity(status) != read:
                return None
            if not_after is not None and status.st_mtime_ns > not_after:
                return None
            target = _free(self._spool / folder, path.name)
            os.rename(path.name, target, src_dir_fd=parent)
            return target
        return None

    def prune(self, now: float) -> int:
        """Deletes the oldest beyond the limits; how many. `now` is seconds since 1970.

        The age of a file is that of its inode, which counts from the move.
        """
        return sum(self._prune(self._spool / folder, now) for folder in (ACCEPTED, REJECTED))

    def _prune(self, folder: Path, now: float) -> int:
        kept = removed = 0
        with os.scandir(folder) as entries:
            files = [
                (status.st_ctime, entry.path, status.st_size)
                for entry in entries
                if not entry.is_dir(follow_symlinks=False) and (status := entry.stat(follow_symlinks=False))
            ]
        for changed, path, size in sorted(files, reverse=True):
            kept += size
            if kept > self._keep_bytes or now - changed > self._keep_s:
                Path(path).unlink(missing_ok=True)
                removed += 1
        return removed


def _free(folder: Path, name: str) -> Path:
    """A path in `folder` that is not taken."""
    for candidate in _candidates(name):
        path = folder / candidate
        if not os.path.lexists(path):
            return path
    raise AssertionError("candidates never end")


def _candidates(name: str) -> Iterator[str]:
    yield name
    stem, end = PurePosixPath(name).stem, PurePosixPath(name).suffix
    number = 2
    while True:
        yield _cut(stem, len(os.fsencode(f"~{number}{end}"))) + f"~{number}{end}"
        number += 1


def _cut(stem: str, room: int) -> str:
    """`stem` short enough that `room` more octets make a legal name."""
    return os.fsdecode(os.fsencode(stem)[: _MAX_NAME - room])
