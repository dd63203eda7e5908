"""A yes is believed only when a second question finds the message there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from buffer.breaker import BreakerState
from buffer.capacity import Limits
from buffer.confirmation import ConfirmPolicy
from buffer.message import Message, Priority
from buffer.store import Store
from buffer.uplink import Delivered, Outcome, UplinkDown
from tests.buffer.test_drain import QUICK, FakeUplink, draining, until
from tests.buffer.world import ManualClock, draft


def with_receipt(batch: Sequence[Message]) -> Sequence[Outcome]:
    return [Delivered(message.payload.decode()) for message in batch]


class Receipts(FakeUplink):
    """Gives a receipt for everything, until it has to refuse."""

    refuse: UplinkDown | None = None

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        if self.refuse is not None:
            raise self.refuse
        self.script.insert(0, with_receipt)
        return await super().deliver(batch)


SOON = replace(QUICK, confirm=ConfirmPolicy(after=0.05, ask_again=(0.05,), send_again=(0.0, 0.05)))
LATE = replace(QUICK, confirm=ConfirmPolicy(after=3600.0))


async def put(store: Store, *names: str) -> None:
    for name in names:
        await store.put(draft(Priority.HIGH, name.encode()))


async def states(store: Store) -> list[str]:
    return [row.state for row in await store.rows(100)]


async def test_what_got_a_yes_is_on_the_disk_until_a_second_question_found_it(path: Path) -> None:
    async with await Store.open(path) as store:
        await put(store, "a", "b")
        uplink = Receipts()
        async with draining(store, uplink, LATE) as drain:
            await until(lambda: drain.progress().unconfirmed == 2)
            assert await states(store) == ["sent", "sent"]
            depth = await store.depth()
            assert (depth.count, depth.delivered) == (0, 2), "it neither waits nor is it forgotten"
            assert depth.levels[Priority.HIGH].oldest_age is None
            assert store.waiting(Priority.HIGH) == 0
            assert store.last_delivered_at is not None
        assert uplink.asked == []
    async with await Store.open(path) as store:
        uplink = Receipts()
        async with draining(store, uplink, SOON) as drain:
            await until(lambda: drain.progress().unconfirmed == 0 and uplink.asked == [["a", "b"]])
            assert uplink.accepted == ["a", "b"], "after a restart they are sent once more"
            assert await states(store) == []
            assert (await store.depth()).delivered == 2


async def test_what_the_cloud_said_yes_to_and_lost_is_sent_again(path: Path) -> None:
    async with await Store.open(path) as store:
        await put(store, "a", "b", "c")
        uplink = Receipts()
        uplink.lost.add("b")
        async with draining(store, uplink, SOON) as drain:
            await until(lambda: len(uplink.asked) == 2 and drain.progress().unconfirmed == 0)
            assert drain.progress().missing == 1
        assert uplink.accepted == ["a", "b", "c", "b"]
        assert await states(store) == []


async def test_what_is_lost_again_and_again_is_sent_later_and_later_and_never_given_up(path: Path) -> None:
    async with await Store.open(path) as store:
        await put(store, "a")
        uplink = Receipts()
        policy = replace(SOON, confirm=replace(SOON.confirm, send_again=(0.0, 3600.0)))
        async with draining(store, uplink, policy) as drain:
            uplink.lost.add("a")
            await until(lambda: len(uplink.asked) == 1)
            uplink.lost.add("a")
            await until(lambda: drain.progress().missing == 2)
            await asyncio.sleep(0.1)
        assert uplink.accepted == ["a", "a"]
        assert await states(store) == ["delayed"]


async def test_a_question_without_answer_deletes_nothing_and_is_asked_again(path: Path) -> None:
    async with await Store.open(path) as store:
        await put(store, "a")
        uplink = Receipts()
        uplink.silent = UplinkDown("timeout")
        async with draining(store, uplink, SOON) as drain:
            await until(lambda: len(uplink.asked) >= 3)
            assert await states(store) == ["sent"]
            assert drain.progress().breaker.state is BreakerState.CLOSED
            uplink.silent = None
            await until(lambda: drain.progress().unconfirmed == 0)
        assert await states(store) == []
        assert uplink.accepted == ["a"]


async def test_nothing_is_asked_while_the_endpoint_is_in_trouble(path: Path) -> None:
    async with await Store.open(path) as store:
        await put(store, "a")
        uplink = Receipts()
        policy = replace(SOON, breaker=replace(SOON.breaker, ladder=(3600.0,), recovery=(3600.0,)))
        async with draining(store, uplink, policy, random=lambda: 0.9) as drain:
            await until(lambda: drain.progress().unconfirmed == 1)
            uplink.refuse = UplinkDown("503")
            await store.put(draft(Priority.CRITICAL, b"b"))
            await until(lambda: drain.progress().breaker.failures_in_row > 0)
            before = len(uplink.asked)
            await asyncio.sleep(0.2)
            assert len(uplink.asked) == before


async def test_a_full_hand_is_asked_about_at_once_in_one_question(path: Path) -> None:
    async with await Store.open(path) as store:
        await put(store, *(f"m{number}" for number in range(9)))
        uplink = Receipts()
        policy = replace(LATE, confirm=ConfirmPolicy(after=3600.0, most=6))
        async with draining(store, uplink, policy) as drain:
            await until(lambda: len(uplink.asked) == 1 and drain.progress().unconfirmed == 3)
        assert uplink.asked == [[f"m{number}" for number in range(6)]]


async def test_a_cloud_that_never_answers_the_question_does_not_fill_the_disk(path: Path) -> None:
    async with await Store.open(path) as store:
        await put(store, *(f"m{number}" for number in range(9)))
        uplink = Receipts()
        uplink.silent = UplinkDown("404")
        policy = replace(SOON, confirm=replace(SOON.confirm, limit=4))
        async with draining(store, uplink, policy) as drain:
            await until(lambda: len(uplink.accepted) == 9 and drain.progress().unconfirmed == 4)
            assert await states(store) == ["sent"] * 4


async def test_what_is_held_is_neither_evicted_nor_expired_nor_handed_out(
    path: Path, clock: ManualClock
) -> None:
    async with await Store.open(path, clock=clock, limits=Limits(max_count=10, eviction_batch=1)) as store:
        held = await store.put(draft(Priority.LOW, b"held", expires_in=5))
        await store.hold([message.id for message in await store.lease(1)])
        clock.pass_time(3600)
        for number in range(20):
            await store.put(draft(Priority.LOW, f"{number}".encode()))
        assert await store.expire() == 0
        assert held.id in {row.id for row in await store.rows(100)}
        assert held.id not in {message.id for message in await store.lease(100)}


@pytest.mark.parametrize("again", ["ack", "forget_yes"])
async def test_figures_are_right_whatever_becomes_of_the_held(path: Path, again: str) -> None:
    async with await Store.open(path) as store:
        await put(store, "a")
        batch = await store.lease(1)
        await store.hold([message.id for message in batch])
        store.release([message.id for message in batch])
        assert await states(store) == ["sent"], "the end of the lease does not end the hold"
        ids = [message.id for message in batch]
        if again == "ack":
            await store.ack(ids)
        else:
            store.forget_yes(ids)
        depth = await store.depth()
        assert (depth.count, depth.delivered) == ((0, 1) if again == "ack" else (1, 0))
        assert store.waiting(Priority.HIGH) == depth.count


async def test_what_left_the_queue_before_its_yes_is_not_counted_twice(path: Path) -> None:
    async with await Store.open(path) as store:
        await put(store, "a", "b")
        batch = [message.id for message in await store.lease(2)]
        await store.ack(batch[:1])
        await store.hold(batch)
        assert store.waiting(Priority.HIGH) == 0
        depth = await store.depth()
        assert (depth.count, depth.bytes, depth.delivered) == (0, 0, 2)
