"""Failed tries: counted, delayed, and set aside for good with the reason."""

from __future__ import annotations

from pathlib import Path

from buffer.capacity import Limits
from buffer.message import Priority
from buffer.store import Store
from tests.buffer.world import ManualClock, draft


async def test_a_failed_try_is_counted_and_comes_back_after_its_delay(
    store: Store, clock: ManualClock
) -> None:
    await store.put(draft())
    for tries, delay in enumerate((1, 5, 30, 30)):
        [message] = await store.lease(1)
        assert message.retry_count == tries
        await store.nack([message.id], reason="busy", retry_in=delay)
        clock.pass_time(delay - 0.01)
        assert await store.lease(1) == []
        clock.pass_time(0.01)


async def test_without_a_delay_it_is_due_at_once(store: Store) -> None:
    receipt = await store.put(draft())
    await store.nack([receipt.id], reason="busy", retry_in=None)
    [message] = await store.lease(1)
    assert message.retry_count == 1


async def test_nobody_can_keep_a_message_back_for_more_than_an_hour(store: Store, clock: ManualClock) -> None:
    receipt = await store.put(draft())
    await store.nack([receipt.id], reason="busy", retry_in=1e9)
    clock.pass_time(3599)
    assert await store.lease(1) == []
    clock.pass_time(1)
    assert len(await store.lease(1)) == 1


async def test_tries_and_delays_last_over_a_restart(path: Path, clock: ManualClock) -> None:
    async with await Store.open(path, clock=clock) as store:
        receipt = await store.put(draft())
        await store.nack([receipt.id], reason="busy", retry_in=30)
    async with await Store.open(path, clock=clock) as store:
        assert await store.lease(1) == []
        clock.pass_time(30)
        [message] = await store.lease(1)
        assert message.retry_count == 1


async def test_a_delayed_message_does_not_block_those_behind_it(store: Store) -> None:
    first = await store.put(draft(Priority.HIGH, b"first"))
    await store.put(draft(Priority.HIGH, b"second"))
    await store.nack([first.id], reason="busy", retry_in=30)
    assert [message.payload for message in await store.lease(10)] == [b"second"]


async def test_a_dead_message_is_kept_with_its_reason_and_never_sent(path: Path) -> None:
    async with await Store.open(path) as store:
        receipt = await store.put(draft(Priority.HIGH, b"bad", key="event-1"))
        await store.lease(1)
        await store.nack([receipt.id], reason="422: no such camera ☄", retry_in=None, permanent=True)
    async with await Store.open(path) as store:
        assert await store.lease(1) == []
        [row] = await store.rows(10)
        assert (row.id, row.uuid, row.state, row.reason) == (
            receipt.id,
            receipt.uuid,
            "dead",
            "422: no such camera ☄",
        )
        depth = await store.depth()
        assert (depth.count, depth.dead, depth.dead_bytes) == (0, 1, 3)
        assert (await store.put(draft(key="event-1"))).duplicate is True


async def test_the_dead_are_bounded_by_count_and_bytes(path: Path) -> None:
    limits = Limits(max_bytes=20_000, dead_count=3, dead_share=0.05)
    async with await Store.open(path, limits=limits) as store:
        for size in (10, 10, 10, 10, 900):
            receipt = await store.put(draft(payload=b"x" * size))
            await store.nack([receipt.id], reason="no", retry_in=None, permanent=True)
        depth = await store.depth()
        assert (depth.dead, depth.dead_bytes, depth.dead_dropped) == (3, 920, 2)
        receipt = await store.put(draft(payload=b"x" * 990))
        await store.nack([receipt.id], reason="no", retry_in=None, permanent=True)
        assert [row.size for row in await store.rows(10)] == [990]


async def test_a_late_answer_for_a_message_that_is_gone_changes_nothing(store: Store) -> None:
    receipt = await store.put(draft())
    await store.ack([receipt.id])
    await store.nack([receipt.id], reason="late", retry_in=1)
    await store.nack([receipt.id], reason="late", retry_in=None, permanent=True)
    store.release([receipt.id])
    depth = await store.depth()
    assert (depth.count, depth.dead, depth.delivered) == (0, 0, 1)
