"""The writer thread: one connection, group commit, checkpoints; what the operations do lives elsewhere.

Jobs wait in a queue. The thread takes one, then everything that came in the meantime, and runs the writing
ones in a single transaction: while one fsync runs, the next group forms, so many producers share its price.
A future is resolved only after COMMIT returned. When a group fails, its jobs are tried one by one, so that
one message too many does not fail its neighbours. When the file is damaged, a fresh one takes its place and
the same jobs run on that: a producer never hears of it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from buffer.errors import (
    BufferClosed,
    BufferDamaged,
    StoreError,
    from_sqlite,
    has_failed_to_grow,
    is_damaged,
    is_full,
)
from buffer.lock import other_readers
from buffer.message import Priority
from buffer.schema import PAGE_BYTES, WAL_LIMIT
from buffer.space import Space

_LOG = logging.getLogger(__name__)
_GROUP_JOBS = 256
_GROUP_BYTES = 1024 * 1024
_IDLE_SECONDS = 0.5
_SIEGE_SECONDS = 30.0
_TRIES = 4
_LOOK_EVERY = 64
LOG_HELD_BYTES = 8 * WAL_LIMIT
"""A log longer than this, because a reader does not let go, takes in only what is critical or high."""
_IDLE_CHECKPOINT_BYTES = 1024 * 1024
_BUSY_CHECKPOINT_BYTES = WAL_LIMIT // 2

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
class _Job:
    """One piece of work; `size` in bytes is what it adds to the log, about. `urgency` is the priority of what
    it stores; None for what frees room or needs none."""

    work: Work[Any]
    writes: bool
    size: int
    urgency: Priority | None
    future: asyncio.Future[Any] | concurrent.futures.Future[Any] | None


@dataclass(slots=True)
class _Outcome:
    """What a job came to."""

    job: _Job
    result: Any = None
    error: BaseException | None = None


_Committed = tuple[list[_Outcome], Priority | None]
"""What the jobs came to, and the most urgent priority that became ready."""


class Writer:
    """The only writer of one database file. Make it and call `submit` on the event loop's thread."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        connect: Callable[[], sqlite3.Connection],
        participant: Participant,
        *,
        replace: Callable[[str], sqlite3.Connection],
        relieve: Callable[[sqlite3.Connection, Priority], bool],
        space: Space,
        notify: Callable[[Priority], None],
    ) -> None:
        """Take over this connection; `connect` gives another when the disk failed under it.

        `replace` puts a fresh file in the place of a damaged one, for the reason given, and connects to it.
        `relieve` frees rows for something of this priority when the disk is full; `space` is what the buffer
        keeps of the disk. `notify` is called on the event loop when messages became ready.
        """
        self._path = path
        self.log_held = False
        """Whether a reader has kept the log from being copied back until it was too long."""
        self._wal = path.with_name(path.name + "-wal")
        self._connect = connect
        self._participant = participant
        self._replace = replace
        self._relieve = relieve
        self._space = space
        self._upkeep_in: float | None = _IDLE_SECONDS
        self._notify = notify
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._connection: sqlite3.Connection | None = connection
        self._log_bytes = 0
        self._wal_high = 0
        self._looks = 0
        self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._main, name="buffer-writer", daemon=True)
        self._thread.start()

    def submit(
        self, work: Work[T], *, writes: bool, size: int = 0, urgency: Priority | None = None
    ) -> asyncio.Future[T]:
        """Run this on the writer thread, in a transaction if it writes. Raises BufferClosed after close."""
        self._refuse_when_closed()
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Job(work, writes, size, urgency, future))
        return future

    def post(self, work: Work[None]) -> None:
        """Run this on the writer thread, outside transactions, with nobody waiting; ignored after close."""
        if not self._closed:
            self._queue.put(_Job(work, writes=False, size=0, urgency=None, future=None))

    def post_write(self, work: Work[object]) -> None:
        """Run this in a transaction, with nobody waiting; ignored after close."""
        if not self._closed:
            self._queue.put(_Job(work, writes=True, size=PAGE_BYTES, urgency=None, future=None))

    def call(self, work: Work[T], *, writes: bool = True, size: int = 0) -> T:
        """Run this, in a transaction if it writes, and wait for it.

        For any thread but the event loop's and the writer's own. Raises BufferClosed after close, and what
        the work or the disk raises.
        """
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        with self._closing:
            self._refuse_when_closed()
            self._queue.put(_Job(work, writes, size, None, future))
        return future.result()

    def condemn(self, reason: str) -> None:
        """Somebody found that the file is damaged: a fresh one is to take its place."""

        def damaged(_: sqlite3.Connection) -> None:
            raise BufferDamaged(reason)

        self.post(damaged)

    async def close(self) -> None:
        """Finish what is queued, then close the file. Safe to call twice."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise BufferClosed("The buffer is closed.")

    # -- on the writer thread ----------------------------------------------------------------------------

    def _main(self) -> None:
        running = True
        while running:
            group, running = self._take()
            try:
                self._process(group)
                self._checkpoint_above(_BUSY_CHECKPOINT_BYTES)
            except Exception as error:  # noqa: BLE001 - the outermost edge of the thread
                # The thread must outlive a mistake in here: whoever waits would wait for ever.
                _LOG.exception("the writer of the buffer failed")
                self._tell([_Outcome(job, error=error) for job in group], None)
        if self._connection is not None:
            self._connection.close()

    def _take(self) -> tuple[list[_Job], bool]:
        """The next group, and whether more may follow."""
        idle_work = self._log_bytes >= _IDLE_CHECKPOINT_BYTES
        try:
            job = self._queue.get(timeout=_IDLE_SECONDS if idle_work else self._upkeep_in)
        except queue.Empty:
            self._checkpoint_above(_IDLE_CHECKPOINT_BYTES)
            self._upkeep_in = self._keep_room()
            return [], True
        group: list[_Job] = []
        size = 0
        while job is not None:
            group.append(job)
            size += job.size
            if len(group) >= _GROUP_JOBS or size >= _GROUP_BYTES:
                return group, True
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return group, True
        return group, False

    def _process(self, group: Sequence[_Job]) -> None:
        if not group:
            return
        writing = [job for job in group if job.writes]
        outcomes, ready = self._commit(writing) if writing else ([], None)
        # Reads come after the commit: they must not see what may still be rolled back.
        outcomes += [self._read(job) for job in group if not job.writes]
        self._tell(outcomes, ready)

    def _tell(self, outcomes: Sequence[_Outcome], ready: Priority | None) -> None:
        for outcome in outcomes:
            if isinstance(outcome.job.future, concurrent.futures.Future):
                _settle(outcome.job.future, outcome)
        with suppress(RuntimeError):  # the event loop is gone, and with it everyone who waited
            self._loop.call_soon_threadsafe(self._resolve, outcomes, ready)

    def _commit(self, jobs: Sequence[_Job]) -> _Committed:
        try:
            return self._transaction(jobs)
        except Exception as error:  # noqa: BLE001 - handed to those who wait, job by job
            self._replace_if_damaged(error)
            if len(jobs) == 1:
                return self._after_failure(jobs[0], error)
        outcomes: list[_Outcome] = []
        ready: list[Priority] = []
        for job in jobs:
            done, priority = self._alone(job)
            outcomes += done
            ready += [] if priority is None else [priority]
        return outcomes, min(ready, default=None)

    def _alone(self, job: _Job) -> _Committed:
        try:
            return self._transaction([job])
        except Exception as error:  # noqa: BLE001 - handed to the one who waits
            return self._after_failure(job, error)

    def _after_failure(self, job: _Job, error: Exception) -> _Committed:
        """A second try for a job that found the disk full, once there is room, or the file damaged, once
        another is in its place; its error otherwise."""
        for _ in range(_TRIES):
            if not (is_damaged(error) or (self._found_no_room(error) and self._make_room(job.urgency))):
                break
            try:
                return self._transaction([job])
            except Exception as again:  # noqa: BLE001 - handed to the one who waits
                error = again
        return [_Outcome(job, error=_as_ours(error))], None

    def _found_no_room(self, error: Exception) -> bool:
        return is_full(error) or (has_failed_to_grow(error) and self._space.free() < WAL_LIMIT)

    def _make_room(self, urgency: Priority | None) -> bool:
        """Room for something this urgent: less urgent messages go, or the ballast when even that fails."""
        if urgency is None:
            return self._space.give_up_ballast()
        try:
            if self._evict(urgency):
                return True
        except (sqlite3.Error, StoreError) as error:
            _LOG.warning("nothing could be evicted from the full buffer: %s", error)
        if not self._space.give_up_ballast():
            return False
        with suppress(sqlite3.Error, StoreError):
            self._evict(urgency)
        return True

    def _evict(self, urgency: Priority) -> bool:
        self._space.let_go(self._ready_connection())
        job = _Job(lambda c: self._relieve(c, urgency), True, PAGE_BYTES, None, None)
        outcomes, _ = self._transaction([job])
        self._checkpoint_above(0)
        return bool(outcomes[0].result)

    def _keep_room(self) -> float | None:
        """In an idle moment: lay in ballast, own a little more of the disk; seconds until the next look."""
        if self._connection is None:
            return None
        self._space.watch(self._connection, WAL_LIMIT)
        if not self._space.lay_in_ballast():
            return _SIEGE_SECONDS
        return _IDLE_SECONDS if self._space.grow(self._connection) else None

    def _transaction(self, jobs: Sequence[_Job]) -> _Committed:
        """Run the jobs and commit. Raises sqlite3.Error when that fails; then nothing of it happened."""
        connection = self._ready_connection()
        self._space.watch(connection, 2 * PAGE_BYTES + sum(job.size for job in jobs))
        if self._space.besieged and self._upkeep_in is None:
            self._upkeep_in = _SIEGE_SECONDS
        self._participant.begin()
        try:
            connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._run(job, connection) for job in jobs]
            self._participant.before_commit(connection)
            connection.execute("COMMIT")
        except BaseException as error:
            self._participant.rollback()
            self._abandon(connection, error)
            raise
        self._log_bytes += 2 * PAGE_BYTES + sum(job.size for job in jobs)
        return outcomes, self._participant.committed()

    def _run(self, job: _Job, connection: sqlite3.Connection) -> _Outcome:
        """One job inside the group's transaction. A StoreError is raised before anything is written, so it is
        this job's alone; a database error fails the transaction."""
        if job.urgency is None:
            self._participant.before_other_work(connection)
        try:
            return _Outcome(job, result=job.work(connection))
        except StoreError as error:
            return _Outcome(job, error=error)

    def _read(self, job: _Job) -> _Outcome:
        try:
            return _Outcome(job, result=job.work(self._ready_connection()))
        except Exception as error:  # noqa: BLE001 - handed to the one who waits
            if not self._replace_if_damaged(error):
                return _Outcome(job, error=_as_ours(error))
        if job.future is None:
            return _Outcome(job)
        try:
            return _Outcome(job, result=job.work(self._ready_connection()))
        except Exception as error:  # noqa: BLE001 - handed to the one who waits
            return _Outcome(job, error=_as_ours(error))

    def _replace_if_damaged(self, error: Exception) -> bool:
        """Whether the file was damaged and another one is in its place."""
        if not is_damaged(error):
            return False
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        try:
            self._connection = self._replace(str(error))
        except (sqlite3.Error, OSError, StoreError):
            _LOG.exception("no fresh file could take the place of the damaged buffer")
            return False
        self._log_bytes = 0
        return True

    def _ready_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = self._connect()
            except sqlite3.Error:
                if not self._space.give_up_ballast():
                    raise
                self._connection = self._connect()
        return self._connection

    def _abandon(self, connection: sqlite3.Connection, error: BaseException) -> None:
        """Roll back; after a failed read or write of the disk the connection is not trusted any more."""
        with suppress(sqlite3.Error):
            connection.rollback()
        if getattr(error, "sqlite_errorname", "").startswith("SQLITE_IOERR"):
            _LOG.error("the disk failed under the buffer: %s; the file is opened anew", error)
            self._connection = None
            with suppress(sqlite3.Error):
                connection.close()

    def _checkpoint_above(self, threshold: int) -> None:
        """Copy the log into the main file when it has grown; never inside somebody's commit."""
        if self._connection is None or not (self._log_bytes >= threshold or self._log_grew()):
            return
        self._log_bytes = 0
        try:
            busy, frames, done = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            _LOG.warning("the log of the buffer could not be copied back: %s", error)
            self._replace_if_damaged(error)
            return
        if busy or done < frames:
            self._held_back(frames, done)
        else:
            self.log_held = False

    def _held_back(self, frames: int, done: int) -> None:
        """A reader that does not end keeps the log growing: say who it is, and above the limit take in only
        what is urgent."""
        level = logging.INFO
        if frames * PAGE_BYTES > LOG_HELD_BYTES and not self.log_held:
            self.log_held = True
            level = logging.ERROR
        readers = ", ".join(map(str, other_readers(self._path))) or "unknown"
        _LOG.log(
            level,
            "a reader keeps %d of %d pages of the log from being copied back (process %s)",
            frames - done, frames, readers,
        )  # fmt: skip

    def _log_grew(self) -> bool:
        """Whether the log file passed its limit since the last look; a net below the estimate.

        Not looked at after every commit: while it is asked for, those who were told of the commit hold the
        interpreter, and the next commit would wait for them.
        """
        self._looks += 1
        if self._looks % _LOOK_EVERY:
            return False
        try:
            size = self._wal.stat().st_size
        except FileNotFoundError:
            size = 0
        grew = size > max(self._wal_high, WAL_LIMIT)
        self._wal_high = size
        return grew

    # -- on the event loop -------------------------------------------------------------------------------

    def _resolve(self, outcomes: Sequence[_Outcome], ready: Priority | None) -> None:
        for outcome in outcomes:
            future = outcome.job.future
            if future is None:
                if outcome.error is not None:
                    _LOG.error("a job of the buffer failed", exc_info=outcome.error)
            elif not future.done():
                _settle(future, outcome)
        if ready is not None:
            self._notify(ready)


def _settle(future: asyncio.Future[Any] | concurrent.futures.Future[Any], outcome: _Outcome) -> None:
    if outcome.error is not None:
        future.set_exception(outcome.error)
    else:
        future.set_result(outcome.result)


def _as_ours(error: Exception) -> Exception:
    return from_sqlite(error) if isinstance(error, sqlite3.Error) else error
