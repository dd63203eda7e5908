"""Two drains over one store: what takes long neither delays nor stops what is small."""

from __future__ import annotations

from pathlib import Path

from buffer.breaker import BreakerState
from buffer.message import Lane, Priority
from buffer.store import Store
from buffer.uplink import UplinkDown
from tests.buffer.test_drain import HIGHEST, PATIENT, FakeUplink, draining, until
from tests.buffer.world import draft


async def put(store: Store, name: str, lane: Lane, priority: Priority = Priority.NORMAL) -> None:
    await store.put(draft(priority, name.encode(), lane=lane))


async def test_each_lane_takes_its_own(path: Path) -> None:
    async with await Store.open(path) as store:
        for number in range(3):
            await put(store, f"film{number}", Lane.BULK)
            await put(store, f"event{number}", Lane.EXPRESS)
        express, bulk = FakeUplink(), FakeUplink()
        async with draining(store, express), draining(store, bulk, lane=Lane.BULK):
            await until(lambda: len(express.accepted) == 3 and len(bulk.accepted) == 3)
        assert express.accepted == ["event0", "event1", "event2"]
        assert bulk.accepted == ["film0", "film1", "film2"]
        assert (await store.depth()).count == 0


async def test_an_event_goes_past_a_transfer_that_takes_long(path: Path) -> None:
    async with await Store.open(path) as store:
        await put(store, "film", Lane.BULK)
        express, bulk = FakeUplink(), FakeUplink()
        bulk.gate.clear()
        async with draining(store, express), draining(store, bulk, lane=Lane.BULK) as slow:
            await bulk.entered.wait()
            await put(store, "alarm", Lane.EXPRESS, Priority.CRITICAL)
            await put(store, "event", Lane.EXPRESS)
            await until(lambda: express.accepted == ["alarm", "event"])
            assert slow.in_flight == 1
            bulk.gate.set()
            await until(lambda: bulk.accepted == ["film"])


async def test_a_lane_that_finds_no_answer_leaves_the_other_alone(path: Path) -> None:
    async with await Store.open(path) as store:
        await put(store, "film", Lane.BULK)
        express, bulk = FakeUplink(), FakeUplink(*[UplinkDown("503")] * 3)
        async with draining(store, express), draining(store, bulk, PATIENT, HIGHEST, lane=Lane.BULK) as stuck:
            await until(lambda: stuck.progress().breaker.failures_in_row == 1)
            await put(store, "event", Lane.EXPRESS, Priority.CRITICAL)
            await until(lambda: express.accepted == ["event"])
        assert stuck.progress().breaker.probes == 0, "a critical event is no reason to try the other lane"


async def test_each_lane_remembers_its_own_breaker(path: Path) -> None:
    async with await Store.open(path) as store:
        await put(store, "film", Lane.BULK)
        bulk = FakeUplink(*[UplinkDown("503")] * 100)
        async with draining(store, bulk, lane=Lane.BULK) as drain:
            await until(lambda: drain.progress().breaker.openings > 0)
    async with (
        await Store.open(path) as store,
        draining(store, FakeUplink(), PATIENT) as express,
        draining(store, FakeUplink(), PATIENT, lane=Lane.BULK) as again,
    ):
        await until(lambda: again.progress().breaker.openings > 0)
        assert express.progress().breaker.state is BreakerState.CLOSED
        assert express.progress().breaker.openings == 0
