"""The store: what the rest of the appliance calls; each call is a job for the writer thread.

Promises:
1. `put` returns only when the message is on the disk (WAL, synchronous=FULL): a power cut cannot undo it.
2. A message is handed out until it is acknowledged, expired, evicted or dead; each of these is counted.
3. Critical first, the others by their shares of the bytes; in order of arrival inside a priority.
4. No wall clock takes part in any decision, unless it was synchronised.
5. A damaged file, a full disk or a crash never stops the recording.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from buffer import boots, settle
from buffer.bell import Bell
from buffer.capacity import Limits
from buffer.clock import Clock, Stamp, SystemClock, stamp
from buffer.detail import dead_ids
from buffer.enqueue import evict_some, put
from buffer.errors import DiskFull, LogHeld, MessageDamaged, MessageTooLarge, StorageFailed, StoreError
from buffer.gaps import Gap, read_gaps, report_gaps
from buffer.health import BackgroundCheck
from buffer.job import Work
from buffer.leasing import Leased, Wanted, lease, media_in_use
from buffer.linger import Linger
from buffer.listing import Depth, Row, latest, read_depth, read_rows
from buffer.message import Draft, Lane, Message, Priority, Receipt
from buffer.opening import Opened, Start, begin_afresh, open_buffer
from buffer.poison import CRASHES
from buffer.quarantine import move_aside, pending
from buffer.rescue import Alert, Incident, Rescue
from buffer.schema import PAGE_BYTES, connect_writer
from buffer.timeline import from_ms
from buffer.writer import Writer

_LOG = logging.getLogger(__name__)
LEASE_SECONDS = 120.0
LEASE_BYTES = 1024 * 1024
_SLICES_PER_CALL = 10
_ROW_LOG_BYTES = 512

T = TypeVar("T")


class Store:
    """A durable queue with priorities, owned by one process and used from its event loop."""

    def __init__(self, opened: Opened, start: Start, alert: Alert | None) -> None:
        """Take over an open file; use `Store.open`."""
        self.path = opened.path
        self.epoch = opened.epoch
        self._start = start
        self._space = opened.space
        self._clock = start.clock
        self._state = opened.state
        self._held = opened.held
        self._expire_after = -1
        self.trouble: StorageFailed | None = None
        """Why the disk refused the last write; None after one that it took."""
        self._bells: list[Bell] = []
        self._writer = Writer(
            opened.path,
            opened.connection,
            lambda: connect_writer(opened.path, opened.state.limits.pages),
            opened.state,
            replace=self._replace,
            relieve=lambda connection, urgency: evict_some(connection, opened.state, urgency, self._now()),
            space=opened.space,
            notify=self._notify,
        )
        self._soon = Linger(self._writer, self._state, self._now)
        self._rescue = Rescue(opened.path, self._writer, self._state, self._now, alert)
        self._check = BackgroundCheck(opened.path, self._writer, self._state)
        if opened.check_later:
            self._check.start()
        if pending(opened.path):
            self._rescue.nudge()
        if dead := self._state.poison.dead():
            now, reason = self._now(), f"the program died {CRASHES + 1} times while this was being sent"
            self._writer.post_write(lambda c: settle.bury(c, self._state, dead, reason, now))

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        clock: Clock | None = None,
        limits: Limits | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
        alert: Alert | None = None,
    ) -> Self:
        """Open the buffer at `path`, making it and its folder if need be.

        A damaged file is moved aside and what can be read is taken back in the background; `alert` may make
        a message of that. Raises BufferInUse while another process is the writer, BufferTooNew, DiskFull or
        StorageFailed.
        """
        start = Start(path, clock or SystemClock(), limits or Limits(), entropy)
        opened = await asyncio.to_thread(open_buffer, start)
        return cls(opened, start, alert)

    async def close(self) -> None:
        """Finish what is queued, write down the uptime, close the file. Safe to call twice."""
        with suppress(StoreError):
            await self._soon.finish()
        await asyncio.to_thread(self._check.stop)
        await asyncio.to_thread(self._rescue.stop)
        with suppress(StoreError):  # closed already, or the disk is gone; there is nothing left to save
            await self._write(lambda c: self._state.note_clean_end(c, self._now()))
        await self._writer.close()
        self._state.hands.close()
        self._held.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- in ----------------------------------------------------------------------------------------------

    async def put(self, draft: Draft) -> Receipt:
        """Store the draft; returns after COMMIT. A draft whose key and revision are known is a duplicate.

        When the caller is cancelled the message may or may not be stored, as with a lost answer.
        Raises MessageTooLarge, BufferFull, DiskFull, LogHeld, StorageFailed, BufferClosed.
        """
        size = self._refuse_too_large(draft)
        if self._writer.log_held and draft.priority > Priority.HIGH:
            raise LogHeld("The log of the buffer cannot be shortened, so only urgent messages are taken.")
        self._soon.flush()  # what waits shares this commit
        now = self._now()
        size += _ROW_LOG_BYTES if draft.idempotency_key is None else PAGE_BYTES
        return await self._write(lambda c: put(c, self._state, draft, now), size, draft.priority)

    async def put_soon(self, draft: Draft) -> None:
        """Store the draft with others, within 1 s (Normal) or 5 s (Low); a crash before that loses it.

        Critical and High are stored at once. When more waits than may, Normal waits for the disk and the
        oldest Low is given up. Raises MessageTooLarge, BufferClosed; what goes wrong later is counted.
        """
        if draft.priority <= Priority.HIGH:
            await self.put(draft)
            return
        self._refuse_too_large(draft)
        await self._soon.add(draft)

    def spare(self, on: bool) -> None:
        """Spare disk and power, or stop it: what `put_soon` takes waits up to 30 s, and Low stays in a
        small ring in memory, from which the oldest is given up and counted. What is durable is not touched.
        """
        self._soon.spare(on)

    # -- out ---------------------------------------------------------------------------------------------

    async def lease(
        self,
        limit: int,
        *,
        lane: Lane | None = None,
        priorities: Collection[Priority] = tuple(Priority),
        max_bytes: int = LEASE_BYTES,
        seconds: float = LEASE_SECONDS,
        newest_first: bool = False,
    ) -> list[Message]:
        """Up to `limit` messages, what is critical first; nobody else gets them for `seconds`.

        `newest_first` turns the order inside a class round, for all but the critical. The payloads together
        stay below `max_bytes`, unless the first alone is larger. Expired messages
        are dropped on the way, damaged ones are set aside. Cancelled, it leaves nothing leased.
        """
        wanted = Wanted(
            limit,
            max_bytes,
            lane,
            tuple(priorities),
            int(seconds * 1000),
            newest_first,
        )
        while True:
            found = await self._lease(wanted)
            await self._put_aside(found)
            if found.messages or not (found.expired or found.damaged):
                return found.messages

    async def ack(self, ids: Collection[int]) -> int:
        """Forget these: they were delivered. Returns after COMMIT, with how many were still here."""
        now = self._now()
        ids = list(ids)
        return await self._write(lambda c: settle.ack(c, self._state, ids, now), len(ids) * _ROW_LOG_BYTES)

    async def nack(
        self,
        ids: Collection[int],
        *,
        reason: str,
        retry_in: float | None,
        permanent: bool = False,
        max_tries: int | None = None,
    ) -> None:
        """Count a failed try; due again after `retry_in` seconds (None: at once), an hour at most.

        When `permanent`, or after `max_tries` of them, the messages are set aside for good, with the reason.
        """
        now = self._now()
        ids = list(ids)
        if permanent:
            await self._write(lambda c: settle.bury(c, self._state, ids, reason, now), len(ids) * 1024)
            return
        _LOG.debug("%d messages are tried again in %s s: %s", len(ids), retry_in, reason)
        delay_ms = int((retry_in or 0) * 1000)

        def again(connection: sqlite3.Connection) -> None:
            left = ids
            if max_tries is not None:
                left = settle.bury_worn_out(connection, self._state, ids, max_tries, reason, now)
            settle.retry_later(connection, self._state, left, delay_ms, now)

        await self._write(again, len(ids) * _ROW_LOG_BYTES)
        self._wake_all()

    async def hold(self, ids: Iterable[int]) -> None:
        """These were answered with yes, and are kept until `ack` or `forget_yes`; nobody gets them meanwhile.

        Writes nothing: after a crash they wait again, and the receiver knows them by their ids.
        """
        ids, now = list(ids), self._now()
        await self._read(lambda c: settle.hold(c, self._state, ids, now))

    def forget_yes(self, ids: Iterable[int]) -> None:
        """The yes to these was worth nothing: they wait again."""
        ids = list(ids)
        self._writer.post(lambda _: self._state.sent.let_go(ids))
        self._wake_all()

    def release(self, ids: Iterable[int]) -> None:
        """End these leases without counting a try: the endpoint failed, not the message. Writes nothing."""
        ids = list(ids)
        self._writer.post(lambda _: self._state.give_back(ids))
        self._wake_all()

    async def expire(self) -> int:
        """Drop messages that are too old; how many. Walks on through a very long queue call by call."""
        dropped = 0
        for _ in range(_SLICES_PER_CALL):
            ids, following = await self._find_expired()
            if ids:
                dropped += await self._drop_expired(ids)
            self._expire_after = -1 if following is None else following
            if following is None:
                break
        return dropped

    def bell(self) -> Bell:
        """A bell of one's own, for `wait_for_work`."""
        self._bells.append(Bell())
        return self._bells[-1]

    async def wait_for_work(self, bell: Bell, timeout: float, priority: Priority = Priority.LOW) -> bool:
        """Wait until something at least this urgent may have become ready; false after `timeout` seconds.

        The caller then looks for itself: it may be woken without need, never too late.
        """
        now_ms = self._state.powered_on_ms(self._now())
        due = self._state.next_wakeup_ms
        wait = timeout if due is None or priority is not Priority.LOW else min(timeout, (due - now_ms) / 1000)
        return await bell.wait(wait, priority) or wait < timeout

    def wake(self) -> None:
        """Let whoever waits for work look again."""
        self._wake_all()

    # -- what there is -----------------------------------------------------------------------------------

    def waiting(self, priority: Priority) -> int:
        """How many messages of this priority wait, leased ones included; costs nothing."""
        return self._state.tally.usage.counts[priority] - self._state.sent.usage.counts[priority]

    async def depth(self) -> Depth:
        """How full the buffer is, by priority."""
        now_ms = self._state.powered_on_ms(self._now())
        state = self._state
        return await self._read(lambda c: read_depth(c, state.tally, state.timeline, now_ms, state.sent))

    async def rows(self, limit: int, priority: Priority | None = None) -> list[Row]:
        """At most `limit` messages without their payloads: the waiting in order, then the dead."""
        now_ms = self._state.powered_on_ms(self._now())
        state = self._state
        return await self._read(
            lambda c: read_rows(c, state.timeline, now_ms, limit, priority, state.leased, state.sent)
        )

    @property
    def sent(self) -> dict[int, int]:
        """What got a yes and is not yet confirmed: payload sizes in bytes by message id."""
        return self._state.sent.sizes()

    @property
    def last_delivered_at(self) -> datetime | None:
        """Wall time of the last acknowledgement, also of an earlier run; None before the first."""
        last = latest(self._state.tally, self._state.sent)
        return None if last is None else from_ms(last)

    @property
    def disk_full(self) -> bool:
        """Whether the disk is so full that the buffer lives on the room it took for itself."""
        return self._space.besieged

    @property
    def incidents(self) -> Sequence[Incident]:
        """What happened to the file in this run: damaged, moved aside, how much was recovered."""
        return tuple(self._rescue.incidents)

    async def rescued(self) -> None:
        """Wait until everything that can be recovered from damaged files is back."""
        await asyncio.to_thread(self._rescue.wait)

    # -- media, notes, clock -----------------------------------------------------------------------------

    async def media_in_use(self, hashes: Collection[str]) -> set[str]:
        """Those of these SHA-256 names that a waiting or dead message refers to."""
        return await self._read(lambda c: media_in_use(c, hashes))

    async def all_media(self) -> set[str]:
        """Every SHA-256 name that a waiting or dead message refers to."""
        return await self._read(
            lambda c: {row[0] for row in c.execute("SELECT DISTINCT sha256 FROM message_media")}
        )

    def take_freed_media(self) -> set[str]:
        """The SHA-256 names that lost a reference since the last call; their files may be unneeded now."""
        freed = self._state.freed_media
        taken: set[str] = set()
        while freed:  # the writer thread may add at any moment: pop is atomic, copy and clear are not
            taken.add(freed.pop())
        return taken

    async def newest(self) -> int:
        """The order of the newest message; what is put from now on has a greater one (`order_of`)."""
        await self._soon.finish()
        return await self._write(lambda _: self._state.newest)

    async def get_meta(self, key: str) -> str | None:
        """A note written with `set_meta`, or None."""
        query = "SELECT value FROM meta WHERE key = ?"
        row = await self._read(lambda c: c.execute(query, (f"note:{key}",)).fetchone())
        return None if row is None else str(row[0])

    async def set_meta(self, key: str, value: str) -> None:
        """Keep a short note with the buffer; returns after COMMIT."""
        query = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        await self._write(lambda c: c.execute(query, (f"note:{key}", value)).rowcount, _ROW_LOG_BYTES)

    async def try_again(self) -> None:
        """One small write after a refused one, so that `trouble` ends although nobody stores anything."""
        with suppress(StorageFailed, DiskFull):
            await self.set_meta("disk", "well")

    async def clock_is_right(self) -> None:
        """Say that the wall clock has just been synchronised: every message of this boot, earlier ones too,
        gets its wall time from its monotonic one."""
        now = self._now()
        offset_ms = now.wall_ms - now.boottime_ms
        kernel_boot = self._state.run.kernel_boot
        await self._write(lambda c: boots.trust_clock(c, kernel_boot, offset_ms))
        self._state.timeline.trust(kernel_boot, offset_ms)

    # -- gaps and the dead -------------------------------------------------------------------------------

    async def gaps(self, limit: int = 100) -> list[Gap]:
        """What was given up and not yet reported, oldest first."""
        return await self._read(lambda c: read_gaps(c, limit))

    async def report_gaps(self, make: Callable[[Sequence[Gap]], Draft]) -> Receipt | None:
        """Turn what was given up into a message, in one transaction; None when there is nothing to
        report, or nothing may be evicted for a report.

        `make` is called on the writer thread and should make it critical. Raises what `put` raises; the
        gaps are kept then.
        """
        now = self._now()
        return await self._write(lambda c: report_gaps(c, self._state, make, now), PAGE_BYTES)

    async def retry_dead(self, ids: Collection[int] | None = None) -> int:
        """Give dead messages (all, or these) another chance; how many there was room for."""
        chosen = None if ids is None else list(ids)
        revived = await self._write(lambda c: settle.revive(c, self._state, chosen), PAGE_BYTES)
        self._wake_all()
        return revived

    async def dead_ids(self, names: Sequence[str]) -> dict[str, list[int]]:
        """The ids of dead messages by their UUIDs or keys; an empty list for a name that fits none."""
        return await self._read(lambda c: dead_ids(c, names))

    # -- inside ------------------------------------------------------------------------------------------

    def _refuse_too_large(self, draft: Draft) -> int:
        size, limit = len(draft.payload), self._state.limits.max_payload
        if size > limit:
            raise MessageTooLarge(f"A payload of {size} bytes is above the limit of {limit}.")
        return size

    def _replace(self, reason: str) -> sqlite3.Connection:
        """A fresh file for a damaged one; on the writer thread."""
        expected = sum(self._state.tally.usage.counts)
        folder = move_aside(self.path, reason)
        connection, self.epoch = begin_afresh(self._start, self._state)
        self._rescue.nudge(folder, expected)
        return connection

    def _now(self) -> Stamp:
        return stamp(self._clock)

    async def _write(self, work: Work[T], size: int = 0, urgency: Priority | None = None) -> T:
        try:
            done = await self._writer.submit(work, writes=True, size=size, urgency=urgency)
        except StorageFailed as error:
            self.trouble = error
            raise
        self.trouble = None
        return done

    async def _read(self, work: Work[T]) -> T:
        return await self._writer.submit(work, writes=False)

    async def _lease(self, wanted: Wanted) -> Leased:
        now = self._now()
        future = self._writer.submit(lambda c: lease(c, self._state, wanted, now), writes=False)
        try:
            found = await asyncio.shield(future)
            if self._state.poison.has_calmed(self._state.powered_on_ms(now)):
                self._writer.post_write(self._state.poison.forget)
            return found
        except asyncio.CancelledError:
            future.add_done_callback(self._nobody_took)
            raise

    def _nobody_took(self, future: asyncio.Future[Leased]) -> None:
        if not future.cancelled() and future.exception() is None:
            self.release(message.id for message in future.result().messages)

    async def _find_expired(self) -> tuple[list[int], int | None]:
        now, after = self._now(), self._expire_after
        return await self._read(lambda c: settle.find_expired(c, self._state, after, now))

    async def _drop_expired(self, ids: list[int]) -> int:
        now = self._now()
        return await self._write(lambda c: settle.drop_expired(c, self._state, ids, now), len(ids) * 64)

    async def _put_aside(self, found: Leased) -> None:
        try:
            if found.expired:
                await self._drop_expired(found.expired)
            if found.damaged:
                reason = str(MessageDamaged("The checksum of the message is wrong."))
                await self.nack(found.damaged, reason=reason, retry_in=None, permanent=True)
        except BaseException:
            self.release(message.id for message in found.messages)
            raise

    def _notify(self, priority: Priority) -> None:
        for bell in self._bells:
            bell.ring(priority)

    def _wake_all(self) -> None:
        self._notify(Priority.CRITICAL)
