"""Messages that programs die of: found out, sent alone, set aside; a power cut blames nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from buffer.message import Message, Priority
from buffer.poison import CALM_MS, CRASHES
from buffer.store import Store
from tests.buffer.world import ManualClock, draft


async def crash(path: Path, clock: ManualClock, count: int = 10) -> list[Message]:
    """A run that takes messages in hand and dies."""
    store = await Store.open(path, clock=clock)
    batch = await store.lease(count)
    await store._writer.close()
    store._held.close()
    return batch


async def filled(path: Path, clock: ManualClock) -> None:
    async with await Store.open(path, clock=clock) as store:
        for number in range(3):
            await store.put(draft(Priority.HIGH, b"%d" % number))


async def test_a_message_in_hand_at_five_crashes_goes_alone_and_then_is_dead(
    path: Path, clock: ManualClock
) -> None:
    await filled(path, clock)
    for _ in range(CRASHES):
        assert len(await crash(path, clock)) == 3
    assert [message.payload for message in await crash(path, clock)] == [b"0"]
    async with await Store.open(path, clock=clock) as store:
        assert [message.payload for message in await store.lease(10)] == [b"1", b"2"]
        [dead] = [row for row in await store.rows(10) if row.state == "dead"]
        assert dead.reason == "the program died 6 times while this was being sent"


async def test_a_message_that_went_alone_and_well_is_no_poison(path: Path, clock: ManualClock) -> None:
    await filled(path, clock)
    for _ in range(CRASHES):
        await crash(path, clock)
    async with await Store.open(path, clock=clock) as store:
        [alone] = await store.lease(10)
        assert await store.ack([alone.id]) == 1
    async with await Store.open(path, clock=clock) as store:
        assert len(await store.lease(10)) == 2
        assert (await store.depth()).dead == 0


async def test_power_cuts_blame_no_message(path: Path, clock: ManualClock) -> None:
    await filled(path, clock)
    for number in range(3 * CRASHES):
        clock.reboot(f"boot-{number + 2}")
        assert len(await crash(path, clock)) == 3


@pytest.mark.parametrize("ending", ["clean stop", "long run"])
async def test_a_good_run_in_between_ends_the_suspicion(path: Path, clock: ManualClock, ending: str) -> None:
    await filled(path, clock)
    for _ in range(CRASHES - 1):
        await crash(path, clock)
    store = await Store.open(path, clock=clock)
    store.release(message.id for message in await store.lease(10))
    if ending == "clean stop":
        await store.close()
    else:
        clock.pass_time(CALM_MS / 1000)
        store.release(message.id for message in await store.lease(10))
        await store.lease(10)
        await store._writer.close()
        store._held.close()
    for _ in range(CRASHES - 1):
        assert len(await crash(path, clock)) == 3


async def test_what_is_sent_and_what_was_given_back_is_not_in_hand(path: Path, clock: ManualClock) -> None:
    await filled(path, clock)
    for _ in range(CRASHES):
        store = await Store.open(path, clock=clock)
        first, second, _guilty = await store.lease(10)
        await store.hold([first.id])
        store.release([first.id, second.id])
        await store.depth()
        await store._writer.close()
        store._held.close()
    assert [message.payload for message in await crash(path, clock, 1)] == [b"0"]
    async with await Store.open(path, clock=clock) as store:
        assert (await store.depth()).dead == 0, "the guilty one was not in hand this time"


@pytest.mark.parametrize("content", [b"", b"\xff" * 4096, b"\x02\x00\x00\x00"])
async def test_a_damaged_note_blames_nobody(path: Path, clock: ManualClock, content: bytes) -> None:
    await filled(path, clock)
    for _ in range(2 * CRASHES):
        await crash(path, clock)
        path.with_name(path.name + ".hands").write_bytes(content)
    async with await Store.open(path, clock=clock) as store:
        assert len(await store.lease(10)) == 3


async def test_without_crashes_leasing_writes_nothing(store: Store) -> None:
    await store.put(draft())
    statements: list[str] = []
    store._writer.post(lambda c: c.set_trace_callback(statements.append))
    [message] = await store.lease(1)
    store.release([message.id])
    await store.depth()
    assert [text for text in statements if not text.lstrip().startswith("SELECT")] == []


async def test_after_so_many_tries_a_message_is_set_aside(store: Store, clock: ManualClock) -> None:
    receipt = await store.put(draft())
    for _ in range(3):
        [message] = await store.lease(1)
        await store.nack([message.id], reason="422: odd", retry_in=None, max_tries=3)
    assert await store.lease(1) == []
    [row] = await store.rows(5)
    assert (row.id, row.state, row.reason) == (receipt.id, "dead", "422: odd (tried 3 times)")


async def test_a_dead_message_can_be_given_another_chance(store: Store) -> None:
    first, second = [await store.put(draft(payload=b"%d" % n, key=f"k{n}")) for n in range(2)]
    await store.nack([first.id, second.id], reason="no", retry_in=None, permanent=True)
    assert await store.retry_dead([second.id]) == 1
    [message] = await store.lease(5)
    assert (message.id, message.payload, message.retry_count) == (second.id, b"1", 0)
    assert await store.retry_dead() == 1
    depth = await store.depth()
    assert (depth.count, depth.dead, depth.dead_bytes) == (2, 0, 0)
