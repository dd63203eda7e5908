"""Groups of jobs as transactions, and what is done when one fails; on the writer thread.

When a group fails, its jobs are tried one by one, so that one message too many does not fail its neighbours.
A job that found the disk full is tried again once there is room, and one that found the file damaged once
another is in its place: a producer never hears of it.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress

from buffer.errors import StoreError, has_failed_to_grow, is_damaged, is_full, is_read_only
from buffer.handle import Handle
from buffer.job import Committed, Job, Outcome, Participant, as_ours
from buffer.log import Log
from buffer.message import Priority
from buffer.schema import PAGE_BYTES, WAL_LIMIT
from buffer.space import Space

_LOG = logging.getLogger(__name__)
_TRIES = 4


class Transactions:
    """Runs jobs on the handle's connection. `relieve` frees rows for something of this priority when the disk
    is full."""

    def __init__(
        self,
        handle: Handle,
        log: Log,
        participant: Participant,
        space: Space,
        relieve: Callable[[sqlite3.Connection, Priority], bool],
    ) -> None:
        self._handle = handle
        self._log = log
        self._participant = participant
        self._space = space
        self._relieve = relieve

    def commit(self, jobs: Sequence[Job]) -> Committed:
        """All of these in one transaction if it can be; what each came to."""
        try:
            return self._transaction(jobs)
        except Exception as error:  # noqa: BLE001 - handed to those who wait, job by job
            self._replace_if_damaged(error)
            if len(jobs) == 1:
                return self._after_failure(jobs[0], error)
        outcomes: list[Outcome] = []
        ready: list[Priority] = []
        for job in jobs:
            done, priority = self._alone(job)
            outcomes += done
            ready += [] if priority is None else [priority]
        return outcomes, min(ready, default=None)

    def read(self, job: Job) -> Outcome:
        """What a job came to that writes nothing."""
        try:
            return Outcome(job, result=job.work(self._handle.ready()))
        except Exception as error:  # noqa: BLE001 - handed to the one who waits
            if not self._replace_if_damaged(error):
                return Outcome(job, error=as_ours(error))
        if job.future is None:
            return Outcome(job)
        try:
            return Outcome(job, result=job.work(self._handle.ready()))
        except Exception as error:  # noqa: BLE001 - handed to the one who waits
            return Outcome(job, error=as_ours(error))

    def _alone(self, job: Job) -> Committed:
        try:
            return self._transaction([job])
        except Exception as error:  # noqa: BLE001 - handed to the one who waits
            return self._after_failure(job, error)

    def _after_failure(self, job: Job, error: Exception) -> Committed:
        """A second try for a job that found the disk full, once there is room, or the file damaged, once
        another is in its place, or opened for reading only, once it was opened anew; its error otherwise."""
        for attempt in range(_TRIES):
            opened_anew = attempt == 0 and is_read_only(error)
            room = self._found_no_room(error) and self._make_room(job.urgency)
            if not (is_damaged(error) or opened_anew or room):
                break
            try:
                return self._transaction([job])
            except Exception as again:  # noqa: BLE001 - handed to the one who waits
                error = again
        return [Outcome(job, error=as_ours(error))], None

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
        self._space.let_go(self._handle.ready())
        job = Job(lambda c: self._relieve(c, urgency), True, PAGE_BYTES, None, None)
        outcomes, _ = self._transaction([job])
        self._log.copy_back(0)
        return bool(outcomes[0].result)

    def _transaction(self, jobs: Sequence[Job]) -> Committed:
        """Run the jobs and commit. Raises sqlite3.Error when that fails; then nothing of it happened."""
        connection = self._handle.ready()
        written = 2 * PAGE_BYTES + sum(job.size for job in jobs)
        self._space.watch(connection, written)
        self._participant.begin()
        try:
            connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._run(job, connection) for job in jobs]
            self._participant.before_commit(connection)
            connection.execute("COMMIT")
        except BaseException as error:
            self._participant.rollback()
            self._handle.abandon(connection, error)
            raise
        self._log.grew(written)
        return outcomes, self._participant.committed()

    def _run(self, job: Job, connection: sqlite3.Connection) -> Outcome:
        """One job inside the group's transaction. A StoreError is raised before anything is written, so it is
        this job's alone; a database error fails the transaction."""
        if job.urgency is None:
            self._participant.before_other_work(connection)
        try:
            return Outcome(job, result=job.work(connection))
        except StoreError as error:
            return Outcome(job, error=error)

    def _replace_if_damaged(self, error: Exception) -> bool:
        replaced = self._handle.replace_if_damaged(error)
        if replaced:
            self._log.begun_anew()
        return replaced
