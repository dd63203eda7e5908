"""Opening a buffer: lock, file, schema, health, run number and figures; blocking, for a thread.

A damaged file never ends the start: it is moved aside, a fresh one takes its place, and what can still be
read is taken back later.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from buffer import boots, lock, quarantine
from buffer.capacity import Limits
from buffer.clock import Clock, stamp
from buffer.errors import (
    BufferDamaged,
    DiskFull,
    from_os,
    from_sqlite,
    has_failed_to_grow,
    is_damaged,
    is_full,
)
from buffer.folders import durable_folder
from buffer.hands import Hands
from buffer.health import check_now
from buffer.poison import Poison
from buffer.schema import WAL_LIMIT, connect_writer, migrate
from buffer.space import Space
from buffer.state import State
from buffer.timeline import Run

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    """A buffer ready for its writer thread; `held` is the lock, kept until it is closed.

    `check_later` is true when the last stop was not clean and the file too large to be checked and counted at
    once.
    """

    path: Path
    connection: sqlite3.Connection
    held: IO[str]
    state: State
    epoch: str
    check_later: bool
    space: Space


@dataclass(frozen=True, slots=True)
class Start:
    """What opening needs to know of the outside."""

    path: Path
    clock: Clock
    limits: Limits
    entropy: Callable[[int], bytes]


def open_buffer(start: Start) -> Opened:
    """Open or make the buffer. The errors are those of `Store.open`."""
    try:
        durable_folder(start.path.parent)
    except OSError as error:
        raise from_os(error, "the folder of the buffer") from error
    space = Space(start.path, start.limits)
    held = _take_lock(start.path, space)
    try:
        quarantine.finish_moving(start.path)
        return _open_with_room(start, held, space)
    except sqlite3.Error as error:
        held.close()
        raise from_sqlite(error) from error
    except OSError as error:
        held.close()
        raise from_os(error, "the buffer file") from error
    except BaseException:
        held.close()
        raise


def _take_lock(path: Path, space: Space) -> IO[str]:
    try:
        return lock.take(path)
    except DiskFull:
        if not space.give_up_ballast():
            raise
        return lock.take(path)


def _open_with_room(start: Start, held: IO[str], space: Space) -> Opened:
    """On a full disk the log and the shared memory need the room that was kept for them."""
    try:
        return _open_or_replace(start, held, space)
    except (sqlite3.Error, OSError) as error:
        if not _may_be_full(error, space) or not space.give_up_ballast():
            raise
        return _open_or_replace(start, held, space)


def _may_be_full(error: Exception, space: Space) -> bool:
    return (
        is_full(error) or isinstance(error, OSError) or has_failed_to_grow(error) or space.free() < WAL_LIMIT
    )


def _open_or_replace(start: Start, held: IO[str], space: Space) -> Opened:
    try:
        return _open_locked(start, held, space)
    except (sqlite3.Error, BufferDamaged) as error:
        if not is_damaged(error):
            raise
        quarantine.move_aside(start.path, str(error))
    opened = _open_locked(start, held, space)
    opened.state.tally.quarantined += 1
    return opened


def _open_locked(start: Start, held: IO[str], space: Space) -> Opened:
    connection = connect_writer(start.path, start.limits.pages)
    try:
        migrate(connection)
        clean = boots.ended_clean(connection)
        checked = clean or check_now(connection, start.path)
        previous = boots.latest_run(connection)
        run = _begin(connection, start, None)
        crashed = not clean and previous is not None and previous.kernel_boot == run.kernel_boot
        hands = Hands(start.path)
        poison = Poison.recall(connection, hands.read(), crashed=crashed)
        space.own_log()
        epoch = boots.read_epoch(connection, start.entropy)
        saved = boots.saved_tally(connection) if clean or not checked else None
        tally = saved or boots.count_tally(connection)
        timeline = boots.read_timeline(connection)
        state = State(start.limits, run, timeline, tally, start.entropy, poison, hands)
    except BaseException:
        connection.close()
        raise
    return Opened(start.path, connection, held, state, epoch, not checked, space)


def begin_afresh(start: Start, state: State) -> tuple[sqlite3.Connection, str]:
    """A connection to a new file in the place of a damaged one, and its epoch; `state` goes on with it."""
    connection = connect_writer(start.path, start.limits.pages)
    try:
        migrate(connection)
        run = _begin(connection, start, state.run)
        epoch = boots.read_epoch(connection, start.entropy)
    except BaseException:
        connection.close()
        raise
    tally = boots.count_tally(connection)
    for name in ("delivered", "last_delivered_ms", "evicted", "expired", "quarantined", "salvaged", "lost"):
        setattr(tally, name, getattr(state.tally, name))
    tally.quarantined += 1
    state.start_over(run, tally)
    return connection, epoch


def _begin(connection: sqlite3.Connection, start: Start, before: Run | None) -> Run:
    above = max(lock.read_run(start.path), before.number if before else 0)
    run = boots.begin_run(connection, start.clock.boot_id(), stamp(start.clock), above=above, before=before)
    lock.note_run(start.path, run.number)
    return run
