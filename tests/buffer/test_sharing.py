"""Who goes next: Critical always, the others by their shares, nobody never."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Generator

from hypothesis import given
from hypothesis import strategies as st

from buffer.message import Priority
from buffer.sharing import SHARES, Heads, Turns, shared
from buffer.store import Store
from tests.buffer.world import draft

CRITICAL, HIGH, NORMAL, LOW = Priority


async def test_the_classes_share_the_bytes_six_to_three_to_one(store: Store) -> None:
    for priority in (LOW, NORMAL, HIGH):
        await asyncio.gather(*(store.put(draft(priority, b"x" * 900)) for _ in range(400)))
    sent: Counter[Priority] = Counter()
    for _ in range(6):
        batch = await store.lease(50)
        sent.update(message.priority for message in batch)
        assert batch == sorted(batch, key=lambda message: message.id)
    assert sum(sent.values()) == 300
    assert 160 <= sent[HIGH] <= 200
    assert 75 <= sent[NORMAL] <= 105
    assert 20 <= sent[LOW] <= 40


async def test_low_is_served_behind_a_backlog_that_never_ends(store: Store) -> None:
    await store.put(draft(LOW, b"patient"))
    for _ in range(60):
        await asyncio.gather(*(store.put(draft(HIGH, b"x" * 1000)) for _ in range(10)))
        batch = await store.lease(10)
        await store.ack([message.id for message in batch])
        if any(message.payload == b"patient" for message in batch):
            return
    raise AssertionError("low was starved")


async def test_what_is_critical_goes_next_whatever_credit_the_others_have(store: Store) -> None:
    for priority in (HIGH, NORMAL, LOW):
        await asyncio.gather(*(store.put(draft(priority, b"x" * 900)) for _ in range(100)))
    for turn in range(20):
        await store.put(draft(CRITICAL, b"%d" % turn))
        first, *_ = await store.lease(5)
        assert first.payload == b"%d" % turn


@given(
    st.dictionaries(st.sampled_from(sorted(SHARES)), st.lists(st.integers(1, 50_000), max_size=30)),
    st.lists(st.integers(1, 10), min_size=1, max_size=50),
)
def test_everything_goes_once_and_in_order_inside_its_class(
    sizes: dict[Priority, list[int]], limits: list[int]
) -> None:
    turns = Turns()
    went: dict[Priority, list[int]] = {priority: [] for priority in SHARES}
    for limit in [*limits, *[30] * 4]:
        taken: list[tuple[Priority, int]] = []

        def rest(priority: Priority) -> Generator[tuple[Priority, int], None, None]:
            for size in sizes.get(priority, [])[len(went[priority]) :]:
                yield priority, size

        def fits(
            _: tuple[Priority, int], taken: list[tuple[Priority, int]] = taken, limit: int = limit
        ) -> bool:
            return len(taken) < limit

        for entry in shared({p: Heads(rest(p)) for p in SHARES}, turns, lambda entry: entry[1], fits):
            taken.append(entry)
        for priority, size in taken:
            went[priority].append(size)
    assert went == {priority: sizes.get(priority, []) for priority in SHARES}
