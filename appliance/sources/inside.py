"""Opening and flushing files that a stranger names: only regular ones in one folder, never through a link."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from appliance.sources.errors import MEDIA_MISSING, MEDIA_OUTSIDE, UNREADABLE, SourceRefused

_PIECE = 1 << 20


class Changed(Exception):
    """The file was written to while it was read, so it was not complete."""


def relative(root: Path, location: str, field: str) -> PurePosixPath:
    """`location` relative to `root`, without looking at the disk. Raises `SourceRefused` outside of it."""
    path = PurePosixPath(location)
    if path.is_absolute():
        try:
            path = path.relative_to(root.absolute())
        except ValueError:
            raise _outside(location, field) from None
    if not path.parts or ".." in path.parts:
        raise _outside(location, field)
    return path


@contextmanager
def open_folder(root: Path, path: PurePosixPath) -> Iterator[int]:
    """A descriptor of the folder at `path` below `root`, reached without links. Raises `OSError`."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in path.parts:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def open_inside(root: Path, path: PurePosixPath, field: str) -> int:
    """A descriptor of the regular file at `path` below `root`; the caller closes it.

    Each step is opened relative to the one before and without following links, so that nothing can be
    exchanged between the check and the use. Raises `SourceRefused`.
    """
    try:
        with open_folder(root, path.parent) as folder:
            # O_NONBLOCK: a named pipe must not hold us for ever
            file = os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except FileNotFoundError:
        raise SourceRefused(
            MEDIA_MISSING,
            f"There is no file {str(path)!r} here.",
            "Write the media first, then rename the .json into place.",
            field=field,
            incomplete=True,
        ) from None
    except PermissionError:
        raise SourceRefused(
            UNREADABLE, f"{str(path)!r} cannot be read.", "Make it readable for the station.", field=field
        ) from None
    except OSError:  # ELOOP or ENOTDIR: a link on the way; ENXIO: a socket
        raise _outside(str(path), field) from None
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise _outside(str(path), field)
    return file


def _outside(location: str, field: str) -> SourceRefused:
    return SourceRefused(
        MEDIA_OUTSIDE,
        f"{location!r} is not a plain file inside the spool.",
        "Copy the file into the spool; links and other places are not followed.",
        field=field,
    )


def make_durable(root: Path, names: Mapping[PurePosixPath, int]) -> None:
    """Puts these open files and their names below `root` on the disk. Blocks. Raises `OSError`."""
    for file in names.values():
        _sync(file)
    for parent in {path.parent for path in names}:
        with open_folder(root, parent) as folder:
            _sync(folder)


def _sync(file: int) -> None:
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):
            raise
        # a file system without a disk of its own, like one of another machine: it knows nothing of a flush


async def pieces(file: int) -> AsyncGenerator[bytes, None]:
    """The bytes of an open file, read in a thread. Raises `Changed` when it was written to meanwhile."""
    before = os.fstat(file)
    offset = 0
    while piece := await asyncio.to_thread(os.pread, file, _PIECE, offset):
        offset += len(piece)
        yield piece
    after = os.fstat(file)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or offset != after.st_size:
        raise Changed
