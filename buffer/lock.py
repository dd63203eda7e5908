"""One writer per buffer: an advisory lock on a file beside the database, which a dead process lets go."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from buffer.errors import BufferInUse, from_os


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
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()
    return handle


def _read(handle: IO[str]) -> str:
    handle.seek(0)
    return handle.read(20).strip() or "unknown"
