"""One writer per buffer: an advisory lock on a file beside the database, which a dead process lets go."""

from __future__ import annotations

import fcntl
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import IO

from buffer.errors import BufferInUse, from_os

_LOG = logging.getLogger(__name__)


def take(path: Path) -> IO[str]:
    """Lock the buffer at `path` for this process until the file handed back is closed.

    The lock is on a side file: opening and closing the database file itself would drop SQLite's own locks.
    Raises BufferInUse when another process has it, StorageFailed when the file cannot be made.
    """
    side = path.with_name(path.name + ".lock")
    try:
        handle = side.open("a+", encoding="ascii")
    except OSError as error:
        raise from_os(error, "the lock of the buffer") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = _read(handle)
        handle.close()
        if isinstance(error, BlockingIOError):
            raise BufferInUse(f"The buffer at {path} is in use by process {holder}.") from None
        raise from_os(error, "the lock of the buffer") from error
    _sign(handle.fileno())
    return handle


def read_run(path: Path) -> int:
    """The number of the latest run that was noted beside the buffer; 0 when there is none."""
    try:
        return int(_run_file(path).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def note_run(path: Path, number: int) -> None:
    """Keep the number of this run outside the database too, so that a fresh file never gives an id again.

    One short write over the old text: it needs no room on a full disk, and a sector is written or it is not.
    """
    try:
        handle = os.open(_run_file(path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            os.pwrite(handle, f"{number:010}".encode(), 0)
            os.fdatasync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        _LOG.warning("the number of this run could not be noted: %s", error)


def other_readers(path: Path) -> list[int]:
    """Processes that have locks on the buffer's shared memory, as the kernel lists them; not this one."""
    try:
        inode = path.with_name(path.name + "-shm").stat().st_ino
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    found = set()
    for line in lines:  # "1: POSIX ADVISORY READ 4711 fe:00:1234 123 123"
        fields = line.split()
        if len(fields) >= 6 and fields[5].rpartition(":")[2] == str(inode) and fields[4].isdecimal():
            found.add(int(fields[4]))
    return sorted(found - {os.getpid()})


def _run_file(path: Path) -> Path:
    return path.with_name(path.name + ".run")


def _sign(handle: int) -> None:
    with suppress(OSError):  # the name of the holder is a courtesy; on a full disk there may be no room
        os.pwrite(handle, f"{os.getpid():<19}".encode(), 0)


def _read(handle: IO[str]) -> str:
    handle.seek(0)
    return handle.read(20).strip() or "unknown"
