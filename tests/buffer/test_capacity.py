"""Capacity: who gives way to whom, as pure rules and on a real file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.capacity import Limits, Usage, footprint, shortage, victims
from buffer.errors import BufferFull
from buffer.message import Priority
from buffer.store import Store
from tests.buffer.world import ManualClock, draft

CRITICAL, HIGH, NORMAL, LOW = Priority
NO_RESERVE = (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("priority", "evict_high", "expected"),
    [
        (CRITICAL, False, (LOW, NORMAL)),
        (HIGH, False, (LOW, NORMAL)),
        (NORMAL, False, (LOW, NORMAL)),
        (LOW, False, (LOW,)),
        (CRITICAL, True, (LOW, NORMAL, HIGH)),
        (HIGH, True, (LOW, NORMAL, HIGH)),
        (NORMAL, True, (LOW, NORMAL)),
        (LOW, True, (LOW,)),
    ],
)
def test_low_gives_way_first_then_normal_and_high_only_by_policy(
    priority: Priority, evict_high: bool, expected: tuple[Priority, ...]
) -> None:
    assert victims(priority, Limits(evict_high=evict_high)) == expected


@pytest.mark.parametrize(("priority", "free_count"), [(CRITICAL, 100), (HIGH, 80), (NORMAL, 50), (LOW, 40)])
def test_the_reserve_of_urgent_classes_is_closed_to_others(priority: Priority, free_count: int) -> None:
    limits = Limits(max_bytes=10**9, max_count=100)
    usage = Usage()
    fits = 0
    while not shortage(usage, priority, 0, limits):
        usage.add(priority, 0)
        fits += 1
    assert fits == free_count


@given(
    counts=st.lists(st.integers(0, 50), min_size=4, max_size=4),
    sizes=st.lists(st.integers(0, 5000), min_size=4, max_size=4),
    priority=st.sampled_from(Priority),
    size=st.integers(0, 5000),
)
def test_what_fits_is_never_above_the_limit(
    counts: list[int], sizes: list[int], priority: Priority, size: int
) -> None:
    limits = Limits(max_bytes=20_000, max_count=100)
    usage = Usage(counts, sizes)
    missing = shortage(usage, priority, size, limits)
    fits = footprint(sum(counts) + 1, sum(sizes) + size) <= 20_000 and sum(counts) < 100
    assert fits or missing
    if priority is CRITICAL:
        assert fits is not bool(missing)


async def fill(store: Store, priorities: str) -> None:
    letters = {"C": CRITICAL, "H": HIGH, "N": NORMAL, "L": LOW}
    for number, letter in enumerate(priorities):
        await store.put(draft(letters[letter], f"{letter}{number}".encode()))


async def kept(store: Store) -> list[str]:
    return [message.payload.decode() for message in await store.lease(100)]


@pytest.mark.parametrize(
    ("before", "incoming", "after"),
    [
        ("LLNN", HIGH, ["new", "N2", "N3", "L1"]),
        ("LNNN", HIGH, ["new", "N1", "N2", "N3"]),
        ("NNNN", HIGH, ["new", "N1", "N2", "N3"]),
        ("NNNN", NORMAL, ["N1", "N2", "N3", "new"]),
        ("LLLL", LOW, ["L1", "L2", "L3", "new"]),
        ("HHHL", CRITICAL, ["new", "H0", "H1", "H2"]),
        ("CCNL", CRITICAL, ["C0", "C1", "new", "N2"]),
    ],
)
async def test_the_oldest_of_the_least_urgent_gives_way(
    path: Path, clock: ManualClock, before: str, incoming: Priority, after: list[str]
) -> None:
    limits = Limits(max_count=4, reserves=NO_RESERVE, eviction_batch=1)
    async with await Store.open(path, clock=clock, limits=limits) as store:
        await fill(store, before)
        await store.put(draft(incoming, b"new"))
        assert await kept(store) == after
        assert (await store.depth()).evicted == 1


@pytest.mark.parametrize(
    ("before", "incoming"),
    [("CCCC", CRITICAL), ("HHHH", CRITICAL), ("HHHH", HIGH), ("NNNN", LOW), ("HHCC", NORMAL)],
)
async def test_what_may_not_push_others_out_is_refused_and_nothing_is_lost(
    path: Path, before: str, incoming: Priority
) -> None:
    limits = Limits(max_count=4, reserves=NO_RESERVE, eviction_batch=1)
    async with await Store.open(path, limits=limits) as store:
        await fill(store, before)
        with pytest.raises(BufferFull, match="BUF-001"):
            await store.put(draft(incoming, b"new"))
        depth = await store.depth()
        assert (depth.count, depth.evicted) == (4, 0)


async def test_high_gives_way_when_the_owner_said_so(path: Path) -> None:
    limits = Limits(max_count=2, reserves=NO_RESERVE, eviction_batch=1, evict_high=True)
    async with await Store.open(path, limits=limits) as store:
        await fill(store, "HH")
        await store.put(draft(CRITICAL, b"new"))
        assert await kept(store) == ["new", "H1"]


async def test_noise_cannot_use_up_the_room_of_an_alarm(path: Path) -> None:
    async with await Store.open(path, limits=Limits(max_count=10)) as store:
        for _ in range(30):
            try:
                await store.put(draft(HIGH))
            except BufferFull:
                break
        for _ in range(2):
            await store.put(draft(CRITICAL))
        depth = await store.depth()
        assert (depth.levels[HIGH].count, depth.levels[CRITICAL].count) == (8, 2)


async def test_bytes_are_limited_too_and_a_batch_makes_room_at_once(path: Path) -> None:
    limits = Limits(max_bytes=100_000, reserves=NO_RESERVE, eviction_batch=20)
    async with await Store.open(path, limits=limits) as store:
        for _ in range(200):
            await store.put(draft(LOW, b"x" * 1000))
        depth = await store.depth()
        low = depth.levels[LOW]
        assert footprint(low.count, low.bytes) <= 100_000
        assert low.count + depth.evicted == 200
        assert low.count > 50


async def test_a_message_in_flight_is_not_evicted(path: Path) -> None:
    limits = Limits(max_count=2, reserves=NO_RESERVE, eviction_batch=1)
    async with await Store.open(path, limits=limits) as store:
        await fill(store, "LL")
        [leased] = await store.lease(1)
        await store.put(draft(HIGH, b"new"))
        assert await store.ack([leased.id]) == 1
        assert await kept(store) == ["new"]


async def test_a_lease_that_is_over_protects_nobody(path: Path, clock: ManualClock) -> None:
    limits = Limits(max_count=2, reserves=NO_RESERVE, eviction_batch=1)
    async with await Store.open(path, clock=clock, limits=limits) as store:
        await fill(store, "LL")
        await store.lease(2, seconds=10)
        clock.pass_time(11)
        await store.put(draft(HIGH, b"new"))
        assert await kept(store) == ["new", "L1"]


async def test_an_evicted_key_may_be_handed_in_again_and_the_gap_is_on_record(path: Path) -> None:
    limits = Limits(max_count=1, reserves=NO_RESERVE, eviction_batch=1)
    async with await Store.open(path, limits=limits) as store:
        first = await store.put(draft(LOW, b"12345", key="log-1"))
        await store.put(draft(LOW, key="log-2"))
        assert (await store.put(draft(LOW, key="log-1"))).duplicate is False
        query = "SELECT reason, priority, first_id, last_id, count, bytes FROM gaps ORDER BY n LIMIT 1"
        gap = await store._read(lambda c: c.execute(query).fetchone())
        assert gap == ("evicted", LOW, first.id, first.id, 1, 5)


async def test_the_ledger_of_known_keys_is_bounded_but_never_forgets_what_waits(path: Path) -> None:
    async with await Store.open(path, limits=Limits(seen_count=100)) as store:
        waiting = await store.put(draft(HIGH, key="waiting"))
        for number in range(5000):
            receipt = await store.put(draft(key=f"done-{number}"))
            await store.ack([receipt.id])
        query = "SELECT count(*) FROM seen"
        assert await store._read(lambda c: c.execute(query).fetchone()[0]) < 100 + 2048
        assert (await store.put(draft(key="waiting"))).id == waiting.id
        assert (await store.put(draft(key="done-4999"))).duplicate is True
        assert (await store.put(draft(key="done-0"))).duplicate is False
