"""The store against a simple model, whatever is done in whatever order."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from buffer.capacity import Limits
from buffer.errors import BufferFull
from buffer.message import Draft, Priority
from buffer.store import Store
from tests.buffer.world import ManualClock

LIMITS = Limits(
    max_bytes=30_000, max_count=25, reserves=(0.2, 0.2, 0.1, 0.0), eviction_batch=3, dead_count=5,
    own_bytes=0, ballast_bytes=4096,
)  # fmt: skip
KEYS = [None, None, "a", "b", "c"]


@dataclass
class Kept:
    """What the model knows of one stored message."""

    id: int
    draft: Draft
    expires: float | None
    due: float = 0.0
    tries: int = 0
    leased_until: float = 0.0


class StoreModel(RuleBasedStateMachine):
    """Time in the model is powered-on time; `self.off` is where this boot's clock begins on it."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.now = 1000.0
        self.kept: dict[int, Kept] = {}
        self.dead: list[Kept] = []
        self.known: dict[tuple[str, int], int] = {}
        self.gone = 0  # evicted or expired, as the store counts them
        self.delivered = 0
        self.boots = 1
        self.ids: set[int] = set()
        self.store = self.run(Store.open(Path(self.folder.name) / "b.db", clock=self.clock, limits=LIMITS))

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def leased(self, message: Kept) -> bool:
        return message.leased_until > self.now

    # -- what is done ------------------------------------------------------------------------------------

    @rule(
        priority=st.sampled_from(Priority),
        size=st.integers(0, 3000),
        key=st.sampled_from(KEYS),
        revision=st.integers(1, 3),
        expires=st.sampled_from([None, None, 50.0, 500.0]),
    )
    def put(
        self, priority: Priority, size: int, key: str | None, revision: int, expires: float | None
    ) -> None:
        draft = Draft(
            "event", bytes(size), priority, idempotency_key=key, revision=revision, expires_in=expires
        )
        newest = max((r for k, r in self.known if k == key), default=0) if key else 0
        before = self.run(self.store.depth())
        try:
            receipt = self.run(self.store.put(draft))
        except BufferFull:
            assert priority is not Priority.CRITICAL or all(
                message.draft.priority <= Priority.HIGH or self.leased(message)
                for message in self.kept.values()
            )
            assert self.run(self.store.depth()) == before
            return
        assert receipt.duplicate == (newest >= revision)
        if receipt.duplicate:
            assert key is not None
            assert receipt.id == self.known.get((key, revision), self.known[key, newest])
            return
        assert receipt.id not in self.ids
        self.ids.add(receipt.id)
        self._forget_evicted(priority)
        for message in [m for m in self.kept.values() if key and m.draft.idempotency_key == key]:
            if not self.leased(message):
                del self.kept[message.id]
        lasting = expires is None or priority is Priority.CRITICAL
        self.kept[receipt.id] = Kept(receipt.id, draft, None if lasting else self.now + (expires or 0))
        if key:
            self.known[key, revision] = receipt.id

    @rule(priority=st.sampled_from(Priority), count=st.integers(3, 12))
    def put_many(self, priority: Priority, count: int) -> None:
        for number in range(count):
            self.put(priority, 100 + number, None, 1, 200.0 if number % 3 == 0 else None)

    @initialize()
    def begin_with_something(self) -> None:
        for priority in Priority:
            self.put_many(priority, 3)

    def _forget_evicted(self, for_whom: Priority) -> None:
        """The store may have given messages up; only such as may give way to this one, oldest first."""
        present = {row.id for row in self.run(self.store.rows(10_000)) if row.state != "dead"}
        evicted = [message for message in self.kept.values() if message.id not in present]
        superseded = self.run(self.store.depth()).superseded
        for message in evicted:
            if message.draft.idempotency_key and superseded:
                continue
            assert message.draft.priority >= max(for_whom, Priority.NORMAL)
            assert not self.leased(message)
            older = [
                m for m in self.kept.values()
                if m.id < message.id and m.draft.priority is message.draft.priority and m.id in present
            ]  # fmt: skip
            assert all(self.leased(m) for m in older)
        for message in evicted:
            del self.kept[message.id]
            if message.draft.idempotency_key and self.known.get(self._name(message)) == message.id:
                row = self.run(self.store._read(lambda c, m=message: self._seen(c, m)))
                if row is None:
                    del self.known[self._name(message)]

    @staticmethod
    def _name(message: Kept) -> tuple[str, int]:
        return message.draft.idempotency_key or "", message.draft.revision

    @staticmethod
    def _seen(connection: Any, message: Kept) -> Any:
        query = "SELECT 1 FROM seen WHERE key = ? AND revision = ?"
        return connection.execute(query, StoreModel._name(message)).fetchone()

    @rule(limit=st.integers(1, 8), seconds=st.sampled_from([10.0, 100.0]))
    def lease(self, limit: int, seconds: float) -> None:
        batch = self.run(self.store.lease(limit, seconds=seconds))
        self._drop_expired(everywhere=False)
        ready = [
            m for m in self.kept.values() if not self.leased(m) and m.due <= self.now and not self._old(m)
        ]
        ids = [message.id for message in batch]
        assert ids == sorted(ids)
        assert set(ids) <= {message.id for message in ready}
        assert len(ids) == min(limit, len(ready))
        for priority in Priority:
            mine = sorted(m.id for m in ready if m.draft.priority is priority)
            taken = [message.id for message in batch if message.priority is priority]
            assert taken == mine[: len(taken)]
            if priority is Priority.CRITICAL:
                assert len(taken) == min(limit, len(mine))
        for message in batch:
            assert message.payload == self.kept[message.id].draft.payload
            assert message.retry_count == self.kept[message.id].tries
            self.kept[message.id].leased_until = self.now + seconds

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.sampled_from(sorted(self.kept)), unique=True, max_size=5))
        assert self.run(self.store.ack(chosen)) == len(chosen)
        self.delivered += len(chosen)
        for message_id in chosen:
            del self.kept[message_id]

    @precondition(lambda self: self.kept)
    @rule(data=st.data(), delay=st.sampled_from([None, 5.0, 60.0]))
    def nack(self, data: st.DataObject, delay: float | None) -> None:
        message = self.kept[data.draw(st.sampled_from(sorted(self.kept)))]
        self.run(self.store.nack([message.id], reason="busy", retry_in=delay))
        message.tries += 1
        message.due = self.now + (delay or 0.0)
        message.leased_until = 0.0

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def bury(self, data: st.DataObject) -> None:
        message = self.kept.pop(data.draw(st.sampled_from(sorted(self.kept))))
        self.run(self.store.nack([message.id], reason="no", retry_in=None, permanent=True))
        message.leased_until = 0.0
        self.dead.append(message)
        limit = LIMITS.dead_bytes
        while len(self.dead) > LIMITS.dead_count or sum(len(m.draft.payload) for m in self.dead) > limit:
            self.dead.pop(0)

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        message = self.kept[data.draw(st.sampled_from(sorted(self.kept)))]
        self.store.release([message.id])
        message.leased_until = 0.0

    @rule()
    def expire(self) -> None:
        self.run(self.store.expire())
        self._drop_expired(everywhere=True)

    @rule(seconds=st.sampled_from([1.0, 20.0, 120.0]), jump=st.sampled_from([0, 0, 3650, -3650]))
    def pass_time(self, seconds: float, jump: int) -> None:
        self.clock.pass_time(seconds)
        self.clock.wall += timedelta(days=jump) if abs(self._years(jump)) < 50 else timedelta()
        self.now += seconds

    def _years(self, jump: int) -> int:
        return self.clock.wall.year - 2026 + jump // 365

    @rule(reboot=st.booleans())
    def restart(self, reboot: bool) -> None:
        self.run(self.store.close())
        if reboot:
            self.boots += 1
            self.clock.reboot(f"boot-{self.boots}", powered_off=9999)
            self.now += 5
        self.store = self.run(Store.open(Path(self.folder.name) / "b.db", clock=self.clock, limits=LIMITS))
        for message in self.kept.values():
            message.leased_until = 0.0

    # -- what must hold ----------------------------------------------------------------------------------

    def _old(self, message: Kept) -> bool:
        return message.expires is not None and message.expires <= self.now

    def _drop_expired(self, *, everywhere: bool) -> None:
        present = {row.id for row in self.run(self.store.rows(10_000)) if row.state != "dead"}
        for message in [m for m in self.kept.values() if m.id not in present]:
            assert self._old(message)
            del self.kept[message.id]
            if message.draft.idempotency_key:
                self.known.pop(self._name(message), None)
        if everywhere:
            assert not any(self._old(m) and not self.leased(m) for m in self.kept.values())

    @invariant()
    def the_figures_agree(self) -> None:
        depth = self.run(self.store.depth())
        for priority in Priority:
            mine = [m for m in self.kept.values() if m.draft.priority is priority]
            level = depth.levels[priority]
            assert (level.count, level.bytes) == (len(mine), sum(len(m.draft.payload) for m in mine))
        assert depth.dead == len(self.dead)
        assert depth.delivered == self.delivered
        assert depth.count <= LIMITS.max_count

    def teardown(self) -> None:
        self.run(self.store.close())
        self.loop.close()
        self.folder.cleanup()


TestStoreModel = StoreModel.TestCase
TestStoreModel.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
