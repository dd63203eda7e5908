"""What the writer thread is asked to do, and what came of it; no thread and no database here."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from buffer.errors import from_sqlite
from buffer.message import Priority

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class Participant(Protocol):
    """What in memory has to follow every transaction; called on the writer thread."""

    def begin(self) -> None:
        """A transaction begins."""

    def before_other_work(self, connection: sqlite3.Connection) -> None:
        """A job that is no put follows in the same transaction."""

    def before_commit(self, connection: sqlite3.Connection) -> None:
        """Last chance to write into it."""

    def committed(self) -> Priority | None:
        """It is on the disk; the most urgent priority that became ready."""

    def rollback(self) -> None:
        """Nothing of it happened."""


@dataclass(slots=True)
class Job:
    """One piece of work; `size` in bytes is what it adds to the log, about. `urgency` is the priority of what
    it stores; None for what frees room or needs none."""

    work: Work[Any]
    writes: bool
    size: int
    urgency: Priority | None
    future: asyncio.Future[Any] | concurrent.futures.Future[Any] | None


@dataclass(slots=True)
class Outcome:
    """What a job came to."""

    job: Job
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        """Tell the one who waits. On the event loop for its own kind of future, anywhere for the other."""
        if self.job.future is None:
            return
        if self.error is not None:
            self.job.future.set_exception(self.error)
        else:
            self.job.future.set_result(self.result)


Committed = tuple[list[Outcome], Priority | None]
"""What the jobs came to, and the most urgent priority that became ready."""


def as_ours(error: Exception) -> Exception:
    """An error of SQLite as one of this room, any other as it is."""
    return from_sqlite(error) if isinstance(error, sqlite3.Error) else error
