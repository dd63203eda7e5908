"""Opening the buffer file: lock, connection, schema, run number and figures; blocking, for a thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from buffer import boots, lock
from buffer.capacity import Limits
from buffer.clock import Clock, stamp
from buffer.errors import from_os, from_sqlite
from buffer.schema import connect_writer, migrate
from buffer.state import State


@dataclass(frozen=True, slots=True)
class Opened:
    """A buffer ready for its writer thread; `held` is the lock, kept until it is closed."""

    path: Path
    connection: sqlite3.Connection
    held: IO[str]
    state: State
    epoch: str


def open_buffer(path: Path, clock: Clock, limits: Limits, entropy: Callable[[int], bytes]) -> Opened:
    """Open or make the buffer at `path`. The errors are those of `Store.open`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise from_os(error, "the folder of the buffer") from error
    held = lock.take(path)
    try:
        return _open_locked(path, clock, limits, entropy, held)
    except sqlite3.Error as error:
        held.close()
        raise from_sqlite(error) from error
    except BaseException:
        held.close()
        raise


def _open_locked(
    path: Path, clock: Clock, limits: Limits, entropy: Callable[[int], bytes], held: IO[str]
) -> Opened:
    connection = connect_writer(path, limits.pages)
    try:
        migrate(connection)
        run = boots.begin_run(connection, clock.boot_id(), stamp(clock))
        epoch = boots.read_epoch(connection, entropy)
        state = State(limits, run, boots.read_timeline(connection), boots.count_tally(connection), entropy)
    except BaseException:
        connection.close()
        raise
    return Opened(path, connection, held, state, epoch)
