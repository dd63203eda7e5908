"""Figures and gaps: right after every kind of stop, and told to the cloud."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from buffer import boots, health
from buffer.capacity import Limits
from buffer.gaps import Gap
from buffer.message import Draft, Priority
from buffer.store import Store
from tests.buffer.world import ManualClock, draft

LOW = Priority.LOW


async def stop_hard(store: Store) -> None:
    await store._writer.close()
    store._held.close()


async def test_after_a_clean_stop_nothing_is_counted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with await Store.open(path) as store:
        receipts = [await store.put(draft(LOW, b"12345")) for _ in range(5)]
        await store.nack([receipts[0].id], reason="no", retry_in=None, permanent=True)
        before = await store.depth()

    def refuse(_: object) -> None:
        raise AssertionError("counted")

    monkeypatch.setattr(boots, "count_tally", refuse)
    async with await Store.open(path) as store:
        after = await store.depth()
    assert [(level.count, level.bytes) for level in after.levels.values()] == [
        (level.count, level.bytes) for level in before.levels.values()
    ]
    assert (after.dead, after.dead_bytes) == (1, 5)


async def test_after_a_crash_a_small_file_is_counted_at_once(path: Path) -> None:
    store = await Store.open(path)
    for _ in range(5):
        await store.put(draft(LOW, b"12345"))
    await stop_hard(store)
    async with await Store.open(path) as store:
        level = (await store.depth()).levels[LOW]
        assert (level.count, level.bytes) == (5, 25)


async def test_after_a_crash_a_large_file_is_counted_beside_the_work(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await Store.open(path)).close()
    store = await Store.open(path)
    receipts = await asyncio.gather(*(store.put(draft(LOW, b"12345")) for _ in range(500)))
    await stop_hard(store)
    monkeypatch.setattr(health, "CHECK_AT_ONCE_BYTES", 1)
    async with await Store.open(path) as store:
        await store.put(draft(LOW, b"1"))
        await store.ack([receipt.id for receipt in receipts[:100]])
        await asyncio.to_thread(store._check.wait)
        level = (await store.depth()).levels[LOW]
        assert (level.count, level.bytes) == (401, 2001)


async def test_what_was_given_up_is_reported_once_and_as_a_whole(path: Path, clock: ManualClock) -> None:
    limits = Limits(max_count=12, reserves=(0.1, 0, 0, 0), eviction_batch=2)

    def make(gaps: Sequence[Gap]) -> Draft:
        told = ",".join(f"{gap.reason} {gap.count}" for gap in gaps)
        return Draft("gaps", told.encode(), Priority.CRITICAL)

    async with await Store.open(path, clock=clock, limits=limits) as store:
        assert await store.report_gaps(make) is None
        await store.put(draft(Priority.NORMAL, expires_in=5))
        for _ in range(11):
            await store.put(draft(LOW))
        clock.pass_time(6)
        await store.expire()
        gaps = await store.gaps()
        assert [(gap.reason, gap.priority, gap.count) for gap in gaps] == [
            ("evicted", LOW, 2),
            ("expired", Priority.NORMAL, 1),
        ]
        receipt = await store.report_gaps(make)
        assert await store.report_gaps(make) is None
        assert receipt is not None
        [message] = await store.lease(1)
        assert (message.id, message.payload) == (receipt.id, b"evicted 2,expired 1")
        assert await store.report_gaps(make) is None


async def test_time_without_power_counts_when_both_clocks_were_right(path: Path, clock: ManualClock) -> None:
    async with await Store.open(path, clock=clock) as store:
        await store.clock_is_right()
        await store.put(draft(expires_in=3600))
    clock.reboot("boot-2", powered_off=7200)
    async with await Store.open(path, clock=clock) as store:
        assert await store.expire() == 0  # nobody has said yet that this clock is right
        await store.clock_is_right()
        assert await store.lease(1) == []
        assert (await store.depth()).expired == 1


async def test_a_clock_that_went_back_makes_nothing_older(path: Path, clock: ManualClock) -> None:
    async with await Store.open(path, clock=clock) as store:
        await store.clock_is_right()
        await store.put(draft(expires_in=3600))
    clock.reboot("boot-2")
    clock.wall -= timedelta(days=300)
    async with await Store.open(path, clock=clock) as store:
        await store.clock_is_right()
        assert await store.expire() == 0


async def test_a_report_of_gaps_never_makes_gaps(path: Path) -> None:
    limits = Limits(max_count=4, reserves=(0, 0, 0, 0), eviction_batch=1)
    async with await Store.open(path, limits=limits) as store:
        for _ in range(6):
            await store.put(draft(LOW))
        assert await store.report_gaps(lambda gaps: draft(Priority.CRITICAL)) is None
        assert (await store.depth()).evicted == 2
        assert len(await store.gaps()) == 2
