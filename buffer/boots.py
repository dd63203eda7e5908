# ruff: noqa: S608 - only constants of this room are joined into SQL, values are always bound
"""The start of a run: its row in `boots`, the time line, the epoch, and the figures counted from the file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable

from buffer.capacity import Usage
from buffer.clock import Stamp
from buffer.message import Priority, id_range
from buffer.state import LASTING, Tally
from buffer.timeline import Run, Timeline, next_base

_RUNS_KEPT = 4096
_RUN_COLUMNS = "boot, kernel_boot, base_ms, opened_ms, last_ms, wall_minus_mono_ms"


def begin_run(
    connection: sqlite3.Connection,
    kernel_boot: str,
    now: Stamp,
    *,
    above: int = 0,
    before: Run | None = None,
) -> Run:
    """Number this run, durably and before its first message, so that no id is ever given twice.

    The number is greater than `above`. `before` is the run to go on from when the file is fresh.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        previous = latest_run(connection) or before
        same_boot = previous is not None and previous.kernel_boot == kernel_boot
        run = Run(
            number=max(above, previous.number if previous else 0) + 1,
            kernel_boot=kernel_boot,
            base_ms=next_base(previous, kernel_boot),
            opened_ms=now.boottime_ms,
            last_ms=now.boottime_ms,
            offset_ms=previous.offset_ms if previous and same_boot else None,
        )
        connection.execute(
            "INSERT INTO boots (boot, kernel_boot, base_ms, opened_ms, last_ms, wall_ms, wall_minus_mono_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (run.number, kernel_boot, run.base_ms, run.opened_ms, run.last_ms, now.wall_ms, run.offset_ms),
        )
        _forget_old_runs(connection, run.number)
        connection.execute("UPDATE tally SET clean = 0")
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
    return run


def ended_clean(connection: sqlite3.Connection) -> bool:
    """Whether the last run closed the file in good order, or there was none."""
    if connection.execute("SELECT count(*) FROM boots").fetchone()[0] == 0:
        return True
    return bool(connection.execute("SELECT clean FROM tally").fetchone()[0])


def latest_run(connection: sqlite3.Connection) -> Run | None:
    """The newest run on record."""
    row = connection.execute(f"SELECT {_RUN_COLUMNS} FROM boots ORDER BY boot DESC LIMIT 1").fetchone()
    return Run(*row) if row else None


def read_timeline(connection: sqlite3.Connection) -> Timeline:
    """The time line over all runs on record."""
    rows = connection.execute(f"SELECT {_RUN_COLUMNS} FROM boots")
    return Timeline({row[0]: Run(*row) for row in rows})


def trust_clock(connection: sqlite3.Connection, kernel_boot: str, offset_ms: int) -> None:
    """Write down the wall time of this boot for all its runs, so that their messages get it too."""
    connection.execute(
        "UPDATE boots SET wall_minus_mono_ms = ? WHERE kernel_boot = ?", (offset_ms, kernel_boot)
    )


def read_epoch(connection: sqlite3.Connection, entropy: Callable[[int], bytes]) -> str:
    """64 random bits that belong to this file: ids of a fresh file are never mistaken for older ones."""
    connection.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (entropy(8).hex(),))
    return str(connection.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0])


def count_usage(connection: sqlite3.Connection) -> Usage:
    """Messages and payload bytes by priority, counted from the table."""
    usage = Usage()
    for priority in Priority:
        usage.counts[priority], usage.sizes[priority] = connection.execute(
            "SELECT count(*), coalesce(sum(length(payload)), 0) FROM messages WHERE id >= ? AND id < ?",
            id_range(priority),
        ).fetchone()
    return usage


def count_tally(connection: sqlite3.Connection) -> Tally:
    """All figures, counted from the file: about a second for a million messages."""
    dead = connection.execute("SELECT count(*), coalesce(sum(length(payload)), 0) FROM dead").fetchone()
    return Tally(count_usage(connection), *dead, **read_lasting(connection))


def saved_tally(connection: sqlite3.Connection) -> Tally | None:
    """All figures as they were written down last; right after a clean stop, about right after a crash."""
    text = connection.execute("SELECT figures FROM tally").fetchone()[0]
    if text is None:
        return None
    counts, sizes, dead_count, dead_bytes = json.loads(text)
    return Tally(Usage(counts, sizes), dead_count, dead_bytes, **read_lasting(connection))


def read_lasting(connection: sqlite3.Connection) -> dict[str, int]:
    """The figures that are counted on and on, by name; `last_delivered_ms` may be None."""
    row = connection.execute(f"SELECT {', '.join(LASTING)} FROM tally").fetchone()
    return dict(zip(LASTING, row, strict=True))


def _forget_old_runs(connection: sqlite3.Connection, newest: int) -> None:
    connection.execute(
        "DELETE FROM boots WHERE boot < ? AND NOT EXISTS ("
        " SELECT 1 FROM json_each('[0, 1, 2, 3]') AS priority JOIN messages"
        " ON messages.id >= (priority.value << 60 | boots.boot << 36)"
        " AND messages.id < (priority.value << 60 | (boots.boot + 1) << 36))",
        (newest - _RUNS_KEPT,),
    )
