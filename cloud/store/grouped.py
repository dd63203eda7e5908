"""One writing thread for SQLite whose waiting jobs share a commit, and so its flush. Knows no table.

While one commit is flushed the next group forms: who writes alone waits for one flush, and many at once for
hardly more. Each job has a savepoint, so that one that raises takes nothing of its neighbours with it. Where
the transaction itself fails, each job is tried again alone.
"""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError, IntegrityError, InterfaceError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

T = TypeVar("T")

MOST_JOBS = 64
"""In one transaction; readers of a long one would see old news."""


@dataclass
class _Job:
    work: Callable[[Connection], Any]
    alone: Callable[[], Any]
    """The same in a transaction of its own, with the errors that a caller is told."""
    context: contextvars.Context
    future: Future[Any] = field(default_factory=Future)
    _begun: bool | None = None

    def begin(self) -> bool:
        """Whether somebody still waits; from now on it cannot be cancelled."""
        if self._begun is None:
            self._begun = self.future.set_running_or_notify_cancel()
        return self._begun


class GroupCommit:
    """The writer of one engine. `close` it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._main, name="store-write", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Connection], T], alone: Callable[[], T]) -> Future[T]:
        """The result, once its commit is on disk. `work` may run more than once; each run but the last is
        rolled back. It runs in the caller's context."""
        job = _Job(work, alone, contextvars.copy_context())
        self._queue.put(job)
        return job.future

    def close(self) -> None:
        """Finishes what was submitted."""
        self._queue.put(None)
        self._thread.join()

    # --- on the thread --------------------------------------------------------------------------------------

    def _main(self) -> None:
        running = True
        while running:
            group, running = self._take()
            self._write(group)

    def _take(self) -> tuple[list[_Job], bool]:
        """The next group, and whether more may follow."""
        job = self._queue.get()
        group: list[_Job] = []
        while job is not None:
            group.append(job)
            if len(group) >= MOST_JOBS:
                return group, True
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return group, True
        return group, False

    def _write(self, group: Sequence[_Job]) -> None:
        outcomes: list[tuple[Any, BaseException | None]] | None = None
        if len(group) > 1:
            with suppress(DatabaseError, InterfaceError, PoolTimeout):  # then each alone, which tells why
                outcomes = self._together(group)
        for index, job in enumerate(group):
            if not job.begin():
                continue
            result, error = outcomes[index] if outcomes is not None else _alone(job)
            if error is not None:
                job.future.set_exception(error)
            else:
                job.future.set_result(result)

    def _together(self, group: Sequence[_Job]) -> list[tuple[Any, BaseException | None]]:
        with self._engine.connect() as connection, connection.begin():
            return [_with_savepoint(connection, job) for job in group]


def _with_savepoint(connection: Connection, job: _Job) -> tuple[Any, BaseException | None]:
    """What the job came to. Raises what fails the transaction itself: the disk, the file, the lock."""
    if not job.begin():
        return None, None
    try:
        with connection.begin_nested():
            return job.context.run(job.work, connection), None
    except (IntegrityError, ProgrammingError) as error:
        return None, error
    except (DatabaseError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001 - handed to the one who waits
        return None, error


def _alone(job: _Job) -> tuple[Any, BaseException | None]:
    try:
        return job.context.run(job.alone), None
    except Exception as error:  # noqa: BLE001 - handed to the one who waits
        return None, error
