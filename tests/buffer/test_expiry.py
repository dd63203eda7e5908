"""Expiry: it counts the time the station was powered on, whatever the wall clock does."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.message import Priority
from buffer.store import Store
from buffer.timeline import Run, Timeline, next_base
from tests.buffer.world import ManualClock, draft

DECADE = timedelta(days=3650)


async def test_an_expired_message_is_never_sent_and_is_counted(store: Store, clock: ManualClock) -> None:
    await store.put(draft(payload=b"old", expires_in=60))
    await store.put(draft(payload=b"fresh", expires_in=61))
    clock.pass_time(60)
    assert [message.payload for message in await store.lease(10)] == [b"fresh"]
    depth = await store.depth()
    assert (depth.count, depth.expired, depth.delivered) == (1, 1, 0)


async def test_expire_drops_what_nobody_asked_for(store: Store, clock: ManualClock) -> None:
    for number in range(2500):
        await store.put(draft(Priority.LOW, expires_in=10 if number % 2 else None))
    clock.pass_time(11)
    assert await store.expire() == 1250
    assert (await store.depth()).count == 1250
    assert await store.expire() == 0


@pytest.mark.parametrize("jump", [DECADE, -DECADE])
async def test_a_jump_of_the_wall_clock_expires_nothing_and_keeps_nothing(
    store: Store, clock: ManualClock, jump: timedelta
) -> None:
    await store.put(draft(expires_in=60))
    clock.wall += jump
    clock.pass_time(59)
    assert await store.expire() == 0
    clock.wall -= 2 * jump
    clock.pass_time(1)
    assert await store.expire() == 1


@pytest.mark.parametrize("jump", [DECADE, -DECADE])
async def test_a_jump_of_the_wall_clock_touches_neither_leases_nor_delays(
    store: Store, clock: ManualClock, jump: timedelta
) -> None:
    first = await store.put(draft(payload=b"delayed"))
    await store.put(draft(payload=b"leased"))
    await store.nack([first.id], reason="busy", retry_in=30)
    await store.lease(1, seconds=30)
    clock.wall += jump
    clock.pass_time(29)
    assert await store.lease(2) == []
    clock.pass_time(1)
    assert [message.payload for message in await store.lease(2)] == [b"delayed", b"leased"]


async def test_a_critical_message_never_expires(store: Store, clock: ManualClock) -> None:
    await store.put(draft(Priority.CRITICAL, expires_in=1))
    clock.pass_time(10_000_000)
    assert await store.expire() == 0
    [message] = await store.lease(1)
    assert message.expires_at is None


async def test_time_without_power_does_not_count(path: Path, clock: ManualClock) -> None:
    async with await Store.open(path, clock=clock) as store:
        await store.put(draft(expires_in=100))
        clock.pass_time(40)
    clock.reboot("boot-2", powered_off=1_000_000)
    async with await Store.open(path, clock=clock) as store:
        clock.pass_time(50)
        assert await store.expire() == 0
        clock.pass_time(5)
        assert await store.expire() == 1


async def test_a_restart_within_a_boot_goes_on_counting(path: Path, clock: ManualClock) -> None:
    async with await Store.open(path, clock=clock) as store:
        await store.put(draft(expires_in=100))
    clock.pass_time(99)
    async with await Store.open(path, clock=clock) as store:
        assert await store.expire() == 0
        clock.pass_time(1)
        assert await store.expire() == 1


async def test_an_expired_message_may_be_handed_in_again(store: Store, clock: ManualClock) -> None:
    await store.put(draft(key="status", expires_in=5))
    clock.pass_time(6)
    await store.expire()
    assert (await store.put(draft(key="status"))).duplicate is False


async def test_a_message_that_is_being_sent_does_not_expire_under_way(
    store: Store, clock: ManualClock
) -> None:
    receipt = await store.put(draft(expires_in=10))
    await store.lease(1)
    clock.pass_time(11)
    assert await store.expire() == 0
    assert await store.ack([receipt.id]) == 1


async def test_a_power_cut_that_sets_the_time_line_back_does_not_keep_a_message_for_ever(
    path: Path, clock: ManualClock
) -> None:
    store = await Store.open(path, clock=clock)
    receipt = await store.put(draft())
    clock.pass_time(59)
    await store.nack([receipt.id], reason="busy", retry_in=3600)
    await store._writer.close()  # as a power cut: the uptime is not written down
    store._held.close()
    clock.reboot("boot-2")
    async with await Store.open(path, clock=clock) as store:
        assert len(await store.lease(1)) == 1


async def test_a_delay_from_before_a_power_cut_does_not_outlive_it_for_long(
    path: Path, clock: ManualClock
) -> None:
    async with await Store.open(path, clock=clock) as store:
        receipt = await store.put(draft())
        await store.nack([receipt.id], reason="busy", retry_in=30)
    clock.reboot("boot-2")
    async with await Store.open(path, clock=clock) as store:
        clock.pass_time(30)
        [message] = await store.lease(1)
        assert message.retry_count == 1


@given(
    st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9), st.booleans()), min_size=1, max_size=20)
)
def test_the_time_line_never_goes_back_from_one_run_to_the_next(
    runs: list[tuple[int, int, bool]],
) -> None:
    """Whatever boots and restarts follow each other, a later run starts where the last one was seen."""
    previous: Run | None = None
    known: dict[int, Run] = {}
    boot, uptime = 0, 0
    for number, (opened, lasted, rebooted) in enumerate(runs, start=1):
        boot, uptime = (boot + 1, opened) if rebooted or previous is None else (boot, uptime + opened)
        base = next_base(previous, str(boot))
        run = Run(number, str(boot), base, uptime, uptime + lasted, None)
        uptime += lasted
        known[number] = run
        if previous is not None:
            line = Timeline(known)
            end = line.powered_on_ms(previous.number, previous.last_ms)
            assert line.powered_on_ms(number, run.opened_ms) >= end
        previous = run
