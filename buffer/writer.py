"""The writer thread: one queue of jobs, group commit, chores in idle moments; what is run lives elsewhere.

Jobs wait in a queue. The thread takes one, then everything that came in the meantime, and runs the writing
ones in a single transaction: while one fsync runs, the next group forms, so many producers share its price.
A future is resolved only after COMMIT returned.
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
from pathlib import Path
from typing import TypeVar

from buffer.errors import BufferClosed, BufferDamaged
from buffer.handle import Handle
from buffer.job import Job, Outcome, Participant, Work
from buffer.log import BUSY_BYTES, IDLE_BYTES, Log
from buffer.message import Priority
from buffer.schema import PAGE_BYTES, WAL_LIMIT
from buffer.space import Space
from buffer.transactions import Transactions

_LOG = logging.getLogger(__name__)
_GROUP_JOBS = 256
_GROUP_BYTES = 1024 * 1024
_IDLE_SECONDS = 0.5
_SIEGE_SECONDS = 30.0

T = TypeVar("T")


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
        self._handle = Handle(path, connection, connect, replace, space)
        self._log = Log(path, self._handle)
        self._transactions = Transactions(self._handle, self._log, participant, space, relieve)
        self._space = space
        self._upkeep_in: float | None = _IDLE_SECONDS
        self._notify = notify
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._main, name="buffer-writer", daemon=True)
        self._thread.start()

    @property
    def log_held(self) -> bool:
        """Whether a reader has kept the log from being copied back until it was too long."""
        return self._log.held

    def submit(
        self, work: Work[T], *, writes: bool, size: int = 0, urgency: Priority | None = None
    ) -> asyncio.Future[T]:
        """Run this on the writer thread, in a transaction if it writes. Raises BufferClosed after close."""
        self._refuse_when_closed()
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(Job(work, writes, size, urgency, future))
        return future

    def post(self, work: Work[None]) -> None:
        """Run this on the writer thread, outside transactions, with nobody waiting; ignored after close."""
        if not self._closed:
            self._queue.put(Job(work, writes=False, size=0, urgency=None, future=None))

    def post_write(self, work: Work[object]) -> None:
        """Run this in a transaction, with nobody waiting; ignored after close."""
        if not self._closed:
            self._queue.put(Job(work, writes=True, size=PAGE_BYTES, urgency=None, future=None))

    def call(self, work: Work[T], *, writes: bool = True, size: int = 0) -> T:
        """Run this, in a transaction if it writes, and wait for it.

        For any thread but the event loop's and the writer's own. Raises BufferClosed after close, and what
        the work or the disk raises.
        """
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        with self._closing:
            self._refuse_when_closed()
            self._queue.put(Job(work, writes, size, None, future))
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
                self._log.copy_back(BUSY_BYTES)
                if self._handle.look_at_names():
                    self._log.begun_anew()
            except Exception as error:  # noqa: BLE001 - the outermost edge of the thread
                # The thread must outlive a mistake in here: whoever waits would wait for ever.
                _LOG.exception("the writer of the buffer failed")
                self._tell([Outcome(job, error=error) for job in group], None)
        self._handle.close()

    def _take(self) -> tuple[list[Job], bool]:
        """The next group, and whether more may follow."""
        try:
            job = self._queue.get(timeout=_IDLE_SECONDS if self._log.long_enough else self._upkeep_in)
        except queue.Empty:
            self._idle()
            return [], True
        group: list[Job] = []
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

    def _idle(self) -> None:
        """What can wait for a quiet moment. A disk that refuses it must not end the thread."""
        try:
            self._log.copy_back(IDLE_BYTES)
            self._upkeep_in = self._keep_room()
        except Exception as error:  # noqa: BLE001 - the outermost edge of the thread
            _LOG.warning("the idle work of the buffer failed: %s", error)
            self._upkeep_in = _SIEGE_SECONDS
            if self._handle.connection is not None:
                self._handle.abandon(self._handle.connection, error)

    def _process(self, group: Sequence[Job]) -> None:
        if not group:
            return
        outcomes: list[Outcome] = []
        ready: Priority | None = None
        if writing := [job for job in group if job.writes]:
            outcomes, ready = self._transactions.commit(writing)
            if self._space.besieged and self._upkeep_in is None:
                self._upkeep_in = _SIEGE_SECONDS
        # Reads come after the commit: they must not see what may still be rolled back.
        outcomes += [self._transactions.read(job) for job in group if not job.writes]
        self._tell(outcomes, ready)

    def _tell(self, outcomes: Sequence[Outcome], ready: Priority | None) -> None:
        for outcome in outcomes:
            if isinstance(outcome.job.future, concurrent.futures.Future):
                outcome.settle()
        with suppress(RuntimeError):  # the event loop is gone, and with it everyone who waited
            self._loop.call_soon_threadsafe(self._resolve, outcomes, ready)

    def _keep_room(self) -> float | None:
        """In an idle moment: lay in ballast, own a little more of the disk; seconds until the next look."""
        connection = self._handle.connection
        if connection is None:
            return None
        self._space.watch(connection, WAL_LIMIT)
        if not self._space.lay_in_ballast():
            return _SIEGE_SECONDS
        return _IDLE_SECONDS if self._space.grow(connection) else None

    # -- on the event loop -------------------------------------------------------------------------------

    def _resolve(self, outcomes: Sequence[Outcome], ready: Priority | None) -> None:
        for outcome in outcomes:
            future = outcome.job.future
            if future is None:
                if outcome.error is not None:
                    _LOG.error("a job of the buffer failed", exc_info=outcome.error)
            elif not future.done():
                outcome.settle()
        if ready is not None:
            self._notify(ready)
