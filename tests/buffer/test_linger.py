"""Messages that may wait a moment: few writes, bounded memory, and nothing forgotten at a clean stop."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from buffer import linger
from buffer.errors import MessageTooLarge
from buffer.message import Draft, Priority
from buffer.store import Store
from tests.buffer.world import draft

LOW, NORMAL = Priority.LOW, Priority.NORMAL


async def test_messages_that_may_wait_are_stored_by_themselves(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(linger.LINGER_SECONDS, LOW, 0.02)
    bell = store.bell()
    await store.put_soon(draft(LOW))
    assert store.waiting(LOW) == 0
    assert await bell.wait(10) is True
    assert store.waiting(LOW) == 1


async def test_a_durable_put_takes_along_what_waits(store: Store) -> None:
    for _ in range(20):
        await store.put_soon(draft(LOW))
    await store.put(draft(Priority.CRITICAL))
    assert [store.waiting(priority) for priority in Priority] == [1, 0, 0, 20]


async def test_what_is_urgent_does_not_wait(store: Store) -> None:
    await store.put_soon(draft(Priority.HIGH))
    assert store.waiting(Priority.HIGH) == 1


async def test_a_clean_stop_stores_what_waits(path: Path) -> None:
    async with await Store.open(path) as store:
        await store.put_soon(draft(LOW, b"last words"))
    async with await Store.open(path) as store:
        assert [message.payload for message in await store.lease(5)] == [b"last words"]


async def test_the_oldest_low_is_given_up_when_too_much_waits(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linger, "LIMIT_BYTES", 20_000)
    for number in range(40):
        await store.put_soon(draft(LOW, b"%03d" % number + b"x" * 997))
    await store.put(draft(Priority.CRITICAL))
    depth = await store.depth()
    assert (depth.levels[LOW].count, depth.dropped) == (13, 27)
    assert (await store.lease(1, priorities=[LOW]))[0].payload[:3] == b"027"


async def test_normal_waits_for_the_disk_and_loses_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linger, "LIMIT_BYTES", 20_000)
    await asyncio.gather(*(store.put_soon(draft(NORMAL, b"x" * 1000)) for _ in range(200)))
    await store.put(draft(Priority.CRITICAL))
    depth = await store.depth()
    assert (depth.levels[NORMAL].count, depth.dropped) == (200, 0)


async def test_what_is_too_large_is_refused_at_once(store: Store) -> None:
    with pytest.raises(MessageTooLarge):
        await store.put_soon(draft(LOW, b"x" * (4 * 1024 * 1024 + 1)))


# --- sparing ------------------------------------------------------------------------------------------------


async def test_while_sparing_low_stays_in_memory_and_is_written_when_it_is_over(store: Store) -> None:
    store.spare(True)
    for number in range(3):
        await store.put_soon(draft(LOW, b"%d" % number))
    await store.put(draft(Priority.CRITICAL))
    assert [store.waiting(priority) for priority in Priority] == [1, 0, 0, 0]
    store.spare(True)
    store.spare(False)
    await store.put(draft(Priority.CRITICAL))
    assert [m.payload for m in await store.lease(9, priorities=[LOW])] == [b"0", b"1", b"2"]
    assert (await store.depth()).dropped == 0


async def test_what_is_pushed_out_of_the_ring_is_counted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linger, "RING_BYTES", 20_000)
    store.spare(True)
    for number in range(40):
        await store.put_soon(draft(LOW, b"%03d" % number + b"x" * 997))
    store.spare(False)
    await store.put(draft(Priority.CRITICAL))
    depth = await store.depth()
    assert (depth.levels[LOW].count, depth.dropped) == (13, 27)
    assert (await store.lease(1, priorities=[LOW]))[0].payload[:3] == b"027"


async def test_while_sparing_normal_lingers_longer_and_is_not_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(linger.LINGER_SECONDS, NORMAL, 0.01)
    store.spare(True)
    asked: list[float] = []
    monkeypatch.setattr(store._soon, "_wake_in", asked.append)
    await store.put_soon(draft(NORMAL))
    assert asked == [linger.SPARING_SECONDS]
    assert store.waiting(NORMAL) == 0
    await store.put(draft(Priority.HIGH))
    assert store.waiting(NORMAL) == 1, "a durable put takes it along"
    store.spare(False)
    await store.put_soon(draft(NORMAL))
    assert asked[-1] == 0.01


async def test_while_sparing_a_newer_revision_takes_the_place_of_one_that_waits(store: Store) -> None:
    store.spare(True)
    for revision in (1, 3, 2):
        await store.put_soon(
            Draft("status", b"%d" % revision, NORMAL, idempotency_key="k", revision=revision)
        )
    await store.put_soon(draft(NORMAL, b"other", key="other"))
    await store.put(draft(Priority.CRITICAL))
    assert [m.payload for m in await store.lease(9, priorities=[NORMAL])] == [b"3", b"other"]
    assert (await store.depth()).superseded == 1


async def test_a_clean_stop_stores_what_is_in_the_ring(path: Path) -> None:
    async with await Store.open(path) as store:
        store.spare(True)
        await store.put_soon(draft(LOW, b"last words"))
    async with await Store.open(path) as store:
        assert [message.payload for message in await store.lease(5)] == [b"last words"]
