"""The drain against an uplink with faults: order, answers, breaker, cancellation, restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from buffer.backoff import Random
from buffer.breaker import BreakerPolicy, BreakerState
from buffer.clock import SystemClock
from buffer.degradation import Level, duties
from buffer.drain import Drain, DrainPolicy
from buffer.errors import BufferClosed, DiskFull
from buffer.message import Lane, Message, Priority
from buffer.store import Store
from buffer.uplink import Delivered, Outcome, Rejected, Retry, Untried, UplinkDown
from tests.buffer.world import draft

QUICK = DrainPolicy(
    batch_count=3,
    idle_wait=0.05,
    ladder=(0.01, 0.01, 0.01),
    store_wait=0.01,
    spread=0.0,
    uncounted_wait=0.05,
    breaker=BreakerPolicy(ladder=(0.001, 0.002, 0.003), recovery=(0.02, 0.04, 0.06)),
)
PATIENT = DrainPolicy(
    batch_count=3, idle_wait=30, breaker=BreakerPolicy(ladder=(3600.0,), recovery=(3600.0,))
)
HIGHEST: Random = lambda: 0.9999  # noqa: E731
LOWEST: Random = lambda: 0.0  # noqa: E731

Answer = Callable[[Sequence[Message]], Sequence[Outcome]]


class FakeUplink:
    """Remembers what it was given; answers as scripted, then says yes to everything."""

    def __init__(self, *script: Answer | Exception) -> None:
        self.script = list(script)
        self.batches: list[list[str]] = []
        self.accepted: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()
        self.asked: list[list[str]] = []
        self.lost: set[str] = set()
        self.silent: UplinkDown | None = None

    async def kept(self, receipts: Sequence[str]) -> Sequence[bool]:
        self.asked.append(list(receipts))
        if self.silent is not None:
            raise self.silent
        answer = [receipt not in self.lost for receipt in receipts]
        self.lost.clear()
        return answer

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        self.batches.append([message.payload.decode() for message in batch])
        self.entered.set()
        await self.gate.wait()
        step = self.script.pop(0) if self.script else accept
        if isinstance(step, Exception):
            raise step
        outcomes = step(batch)
        pairs = zip(batch, outcomes, strict=False)
        self.accepted += [m.payload.decode() for m, outcome in pairs if isinstance(outcome, Delivered)]
        return outcomes


def accept(batch: Sequence[Message]) -> Sequence[Outcome]:
    return [Delivered() for _ in batch]


def busy(after: float | None = None) -> Answer:
    return lambda batch: [Retry("busy", after) for _ in batch]


@pytest.fixture
async def real(path: Path) -> AsyncIterator[Store]:
    """A store on the machine's own clock, because the drain really waits."""
    async with await Store.open(path) as opened:
        yield opened


@asynccontextmanager
async def draining(
    store: Store,
    uplink: FakeUplink,
    policy: DrainPolicy = QUICK,
    random: Random = LOWEST,
    lane: Lane = Lane.EXPRESS,
) -> AsyncIterator[Drain]:
    drain = Drain(store, uplink, clock=SystemClock(), random=random, policy=policy, lane=lane)
    task = asyncio.create_task(drain.run())
    try:
        yield drain
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the fake has no event for every question
            await asyncio.sleep(0.002)


async def put(store: Store, *names: str) -> None:
    letters = {"c": Priority.CRITICAL, "h": Priority.HIGH, "n": Priority.NORMAL, "l": Priority.LOW}
    for name in names:
        await store.put(draft(letters[name[0]], name.encode()))


async def test_everything_is_delivered_once_the_critical_alone_and_the_urgent_first(real: Store) -> None:
    await put(real, "l1", "n1", "h1", "c1", "c2", "h2", "n2", "l2")
    uplink = FakeUplink()
    async with draining(real, uplink) as drain:
        await until(lambda: len(uplink.accepted) == 8)
        await until(lambda: drain.progress().delivered == 8)
    assert uplink.batches == [["c1", "c2"], ["h1", "h2", "n1"], ["n2", "l1", "l2"]]
    assert (await real.depth()).count == 0


async def test_a_critical_message_waits_for_one_batch_at_most(real: Store) -> None:
    await put(real, *(f"n{number}" for number in range(9)))
    uplink = FakeUplink()
    uplink.gate.clear()
    async with draining(real, uplink):
        await uplink.entered.wait()
        await put(real, "c1")
        uplink.gate.set()
        await until(lambda: len(uplink.accepted) == 10)
    assert uplink.batches[1] == ["c1"]


async def test_a_message_that_arrives_later_is_noticed_without_delay(real: Store) -> None:
    uplink = FakeUplink()
    async with draining(real, uplink, PATIENT):
        await asyncio.sleep(0.02)
        await put(real, "n1")
        await until(lambda: uplink.accepted == ["n1"])


async def test_each_message_of_a_batch_gets_its_own_answer(real: Store) -> None:
    await put(real, "h1", "h2", "h3")
    uplink = FakeUplink(lambda _: [Delivered(), Retry("busy"), Rejected("422: no such camera")])
    async with draining(real, uplink) as drain:
        await until(lambda: uplink.accepted == ["h1", "h2"])
        await until(lambda: drain.progress().delivered == 2)
        progress = drain.progress()
    assert (progress.retried, progress.rejected, progress.in_flight) == (1, 1, 0)
    assert progress.last_upload_at is not None
    [dead] = await real.rows(10)
    assert (dead.state, dead.reason) == ("dead", "422: no such camera")


async def test_a_rejected_message_never_trips_the_breaker_nor_blocks_the_rest(real: Store) -> None:
    await put(real, *(f"h{number}" for number in range(30)))
    uplink = FakeUplink(*[lambda batch: [Rejected("bad") for _ in batch]] * 9)
    async with draining(real, uplink) as drain:
        await until(lambda: len(uplink.accepted) == 3)
        assert drain.progress().breaker.state is BreakerState.CLOSED
    assert (await real.depth()).dead == 27


async def test_a_retry_waits_as_long_as_the_other_side_said(real: Store) -> None:
    await put(real, "h1")
    uplink = FakeUplink(busy(after=3600))
    async with draining(real, uplink) as drain:
        await until(lambda: drain.progress().retried == 1)
        await put(real, "l1")
        await until(lambda: uplink.accepted == ["l1"])
        [row] = await real.rows(10)
        assert (row.state, row.retry_count) == ("delayed", 1)


async def test_an_endpoint_that_is_down_costs_no_message_a_try(real: Store) -> None:
    await put(real, "h1", "h2")
    uplink = FakeUplink(*[UplinkDown("connection refused")] * 3)
    async with draining(real, uplink):
        await until(lambda: uplink.accepted == ["h1", "h2"])
    assert uplink.batches == [["h1", "h2"]] * 4


async def test_the_breaker_opens_probes_with_one_message_and_closes_again(real: Store) -> None:
    await put(real, "h1", "h2", "h3", "h4", "h5")
    uplink = FakeUplink(*[UplinkDown("502")] * 6)
    async with draining(real, uplink) as drain:
        await until(lambda: len(uplink.accepted) == 5)
        await until(lambda: drain.progress().breaker.state is BreakerState.CLOSED)
        assert drain.progress().breaker.openings == 2
    sizes = [len(batch) for batch in uplink.batches]
    assert sizes == [3] * 5 + [1] + [1, 1] + [3]


async def test_an_open_breaker_lets_nothing_through_until_the_link_comes_up(real: Store) -> None:
    await put(real, "h1")
    uplink = FakeUplink(UplinkDown("no route"))
    async with draining(real, uplink, PATIENT, HIGHEST) as drain:
        await until(lambda: drain.progress().breaker.failures_in_row == 1)
        await put(real, "h2")
        await asyncio.sleep(0.05)
        assert len(uplink.batches) == 1
        drain.kick()
        await until(lambda: uplink.accepted == ["h1", "h2"])


async def test_a_critical_message_may_probe_an_open_breaker(real: Store) -> None:
    await put(real, "h1")
    uplink = FakeUplink(UplinkDown("no route"), UplinkDown("no route"))
    async with draining(real, uplink, PATIENT, HIGHEST) as drain:
        await until(lambda: drain.progress().breaker.failures_in_row == 1)
        await put(real, "c1")
        await until(lambda: drain.progress().breaker.failures_in_row == 2)
        await put(real, "c2")
        await asyncio.sleep(0.05)
        assert uplink.batches == [["h1"], ["c1"]]  # the second one has to wait its half minute


async def test_retry_after_of_the_endpoint_outranks_a_new_link(real: Store) -> None:
    await put(real, "h1")
    uplink = FakeUplink(UplinkDown("429", retry_after=3600))
    async with draining(real, uplink, QUICK) as drain:
        await until(lambda: drain.progress().breaker.held)
        drain.kick()
        await put(real, "c1")
        await asyncio.sleep(0.05)
        assert len(uplink.batches) == 1
        assert drain.progress().breaker.retry_in > 3500


async def test_a_failure_that_says_nothing_about_the_endpoint_is_not_counted(real: Store) -> None:
    await put(real, "h1")
    uplink = FakeUplink(*[UplinkDown("certificate not yet valid", counts=False)] * 6)
    async with draining(real, uplink) as drain:
        await until(lambda: uplink.accepted == ["h1"])
        assert drain.progress().breaker.openings == 0


async def test_the_breaker_is_remembered_over_a_restart(path: Path) -> None:
    async with await Store.open(path) as store:
        await put(store, "h1")
        uplink = FakeUplink(*[UplinkDown("502")] * 5)
        policy = DrainPolicy(breaker=BreakerPolicy(ladder=(0.001,), recovery=(3600.0,)))
        async with draining(store, uplink, policy) as drain:
            await until(lambda: drain.progress().breaker.state is BreakerState.OPEN)
            await until(lambda: drain.progress().in_flight == 0)
    async with await Store.open(path) as store:
        later = FakeUplink()
        async with draining(store, later, policy) as drain:
            await until(lambda: drain.progress().breaker.state is BreakerState.OPEN)
            assert drain.progress().breaker.retry_in > 3000
            assert later.batches == []


async def test_a_crash_loop_does_not_begin_again_at_the_shortest_wait(path: Path) -> None:
    policy = DrainPolicy(breaker=BreakerPolicy(ladder=(0.001,), recovery=(0.01, 3600.0)))
    async with await Store.open(path) as store:
        await put(store, "h1")
        uplink = FakeUplink(*[UplinkDown("502")] * 6)
        async with draining(store, uplink, policy) as drain:
            await until(lambda: drain.progress().breaker.openings == 2)
            await until(lambda: drain.progress().in_flight == 0)
    async with await Store.open(path) as store, draining(store, FakeUplink(), policy) as drain:
        await until(lambda: drain.progress().breaker.openings == 2)
        assert drain.progress().breaker.retry_in > 3000


async def open_then_close(real: Store, fault: UplinkDown, *names: str) -> tuple[FakeUplink, DrainPolicy]:
    """Five failures with one message, and a drain policy whose spread is long."""
    policy = DrainPolicy(
        batch_count=100,
        idle_wait=0.05,
        spread=3600.0,
        breaker=BreakerPolicy(ladder=(0.001,), recovery=(0.02,)),
    )
    await put(real, *names)
    return FakeUplink(*[fault] * 5), policy


async def test_after_an_outage_of_the_cloud_only_the_critical_go_at_once(real: Store) -> None:
    uplink, policy = await open_then_close(real, UplinkDown("503", shared=True), "h1", "h2", "h3")
    async with draining(real, uplink, policy, HIGHEST) as drain:
        await until(
            lambda: drain.progress().breaker.state is BreakerState.CLOSED and drain.progress().bulk_in > 0
        )
        assert uplink.accepted == ["h1", "h2"], "the two probes"
        await put(real, "c1")
        await until(lambda: uplink.accepted == ["h1", "h2", "c1"])
        assert drain.progress().bulk_in > 3000
        drain.kick()
        await until(lambda: uplink.accepted[-1] == "h3")


async def test_after_an_outage_of_our_own_link_everything_goes_at_once_in_growing_batches(
    real: Store,
) -> None:
    names = [f"h{number:03}" for number in range(2 + 10 + 50 + 100 + 5)]
    uplink, policy = await open_then_close(real, UplinkDown("no route"), *names)
    async with draining(real, uplink, policy, HIGHEST):
        await until(lambda: uplink.accepted == names)
    assert [len(batch) for batch in uplink.batches[5:]] == [1, 1, 10, 50, 100, 5]


async def test_on_a_poor_day_uploads_are_bundled_and_only_the_critical_go_at_once(real: Store) -> None:
    uplink = FakeUplink()
    async with draining(real, uplink) as drain:
        drain.obey(duties(Level.REDUCED))
        await put(real, "h1", "h2")
        await until(lambda: drain.progress().bulk_in > 0)
        assert uplink.accepted == ["h1", "h2"], "the first window is open at once and lasts until all is sent"
        assert 269 < drain.progress().bulk_in <= 270
        await put(real, "h3", "c1", "h4")
        await until(lambda: uplink.accepted == ["h1", "h2", "c1"])
        await asyncio.sleep(0.05)
        assert len(uplink.accepted) == 3
        drain.obey(duties(Level.FULL))
        await until(lambda: uplink.accepted[3:] == ["h3", "h4"])


@pytest.mark.parametrize(("random", "least", "most"), [(LOWEST, 269, 270), (HIGHEST, 329, 330)])
async def test_the_windows_of_a_fleet_do_not_fall_together(
    real: Store, random: Random, least: float, most: float
) -> None:
    async with draining(real, FakeUplink(), random=random) as drain:
        drain.obey(duties(Level.REDUCED))
        await until(lambda: drain.progress().bulk_in > 0)
        assert least < drain.progress().bulk_in <= most


async def test_the_newest_of_a_class_go_first_where_that_is_wanted(real: Store) -> None:
    await put(real, "h1", "c1", "n1", "h2", "c2", "n2", "h3")
    uplink = FakeUplink()
    policy = replace(QUICK, newest_first=True, batch_count=2)
    async with draining(real, uplink, policy):
        await until(lambda: len(uplink.accepted) == 7)
    assert uplink.batches == [["c1", "c2"], ["h3", "h2"], ["h1", "n2"], ["n1"]]


async def test_an_answer_that_proves_nothing_is_neither_for_nor_against_the_endpoint(real: Store) -> None:
    await put(real, "h1")
    doubtful: Answer = lambda batch: [Retry("500", proves=False) for _ in batch]  # noqa: E731
    uplink = FakeUplink(*[UplinkDown("502")] * 3, *[doubtful] * 4, *[UplinkDown("502")] * 2)
    async with draining(real, uplink) as drain:
        await until(lambda: drain.progress().breaker.openings == 1)
    assert len(uplink.batches) == 9, "five failures in a row, whatever came between them"


async def test_what_was_not_tried_waits_as_before(real: Store) -> None:
    await put(real, "h1", "h2")
    uplink = FakeUplink(lambda _: [Delivered(), Untried()])
    async with draining(real, uplink):
        await until(lambda: len(uplink.batches) == 2)
        assert uplink.batches[1] == ["h2"]
        assert [row.retry_count for row in await real.rows(10)] == [0] * len(await real.rows(10))
        await until(lambda: uplink.accepted == ["h1", "h2"])


async def test_where_no_connection_was_made_the_most_urgent_stays_the_probe(real: Store) -> None:
    uplink = FakeUplink(*[UplinkDown("refused", sent=False)] * 9)
    await put(real, "h1", "c1", "h2")
    async with draining(real, uplink):
        await until(lambda: uplink.accepted == ["c1", "h1", "h2"])
    assert uplink.batches[:10] == [["c1"]] * 10


async def test_the_spread_that_the_cloud_names_ends_a_longer_wait(real: Store) -> None:
    uplink, policy = await open_then_close(real, UplinkDown("503", shared=True), "h1", "h2", "h3")
    async with draining(real, uplink, policy, HIGHEST) as drain:
        await until(lambda: drain.progress().bulk_in > 3000)
        drain.spread_over(0)
        await until(lambda: uplink.accepted == ["h1", "h2", "h3"])


async def test_a_message_that_the_endpoint_cannot_bear_is_not_the_probe_for_ever(real: Store) -> None:
    await put(real, "h1", "h2", "h3")
    uplink = FakeUplink()

    def fail_on_first(batch: Sequence[Message]) -> Sequence[Outcome]:
        if any(message.payload == b"h1" for message in batch):
            raise UplinkDown("500")
        return accept(batch)

    uplink.script = [fail_on_first] * 8
    async with draining(real, uplink) as drain:
        await until(lambda: uplink.accepted[:2] == ["h2", "h3"])
        await until(lambda: drain.progress().breaker.probes == 3)
        assert uplink.batches[5:8] == [["h1"], ["h2"], ["h3"]]


async def test_cancelled_in_the_middle_of_a_delivery_it_leaves_nothing_leased(real: Store) -> None:
    await put(real, "h1", "h2")
    uplink = FakeUplink()
    uplink.gate.clear()
    async with draining(real, uplink) as drain:
        await uplink.entered.wait()
        assert drain.progress().in_flight == 2
    assert [message.retry_count for message in await real.lease(10)] == [0, 0]


async def test_an_error_in_the_uplink_itself_ends_the_drain_and_frees_the_messages(real: Store) -> None:
    await put(real, "h1")
    drain = Drain(real, FakeUplink(KeyError("a mistake")), clock=SystemClock(), random=LOWEST, policy=QUICK)
    with pytest.raises(KeyError):
        await drain.run()
    assert len(await real.lease(10)) == 1


async def test_answers_that_do_not_match_the_batch_are_never_guessed_at(real: Store) -> None:
    await put(real, "h1", "h2")
    uplink = FakeUplink(lambda _: [Delivered()])
    drain = Drain(real, uplink, clock=SystemClock(), random=LOWEST, policy=QUICK)
    with pytest.raises(ValueError, match="1 outcomes for 2 messages"):
        await drain.run()
    assert (await real.depth()).count == 2


async def test_a_buffer_that_fails_for_a_moment_does_not_end_the_drain(
    real: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(real, "h1")
    uplink = FakeUplink()
    acknowledge = real.ack
    failures = [DiskFull("There is no space left for the buffer.")] * 2

    async def failing(ids: Sequence[int]) -> int:
        if failures:
            raise failures.pop()
        return await acknowledge(ids)

    monkeypatch.setattr(real, "ack", failing)
    async with draining(real, uplink) as drain:
        await until(lambda: drain.progress().delivered == 1)
    assert uplink.accepted == ["h1"] * 3  # sent again: the other side tells them apart by uuid
    assert (await real.depth()).count == 0


async def test_a_closed_buffer_ends_the_drain(real: Store) -> None:
    drain = Drain(real, FakeUplink(), clock=SystemClock(), random=LOWEST, policy=QUICK)
    await real.close()
    with pytest.raises(BufferClosed):
        await drain.run()


async def test_expired_messages_are_dropped_while_the_endpoint_is_away(path: Path) -> None:
    policy = DrainPolicy(expire_every=0.02, breaker=PATIENT.breaker)
    async with await Store.open(path) as store:
        await put(store, "h1")
        uplink = FakeUplink(UplinkDown("no route"))
        async with draining(store, uplink, policy, HIGHEST) as drain:
            await until(lambda: drain.progress().breaker.failures_in_row == 1)
            await store.put(draft(Priority.LOW, expires_in=timedelta(milliseconds=10).total_seconds()))
            await until(lambda: store.waiting(Priority.LOW) == 0)
        assert (await store.depth()).expired == 1


async def test_media_that_no_message_needs_any_more_are_given_to_their_keeper(real: Store) -> None:
    from buffer.message import Draft, MediaRef

    class Keeper:
        def __init__(self) -> None:
            self.freed: set[str] = set()

        async def collect(self, hashes: set[str]) -> int:
            self.freed |= hashes
            return len(hashes)

    keeper = Keeper()
    refs = tuple(MediaRef(digit * 64, 1, "image/jpeg", "a.jpg", "frame") for digit in "ab")
    await real.put(Draft("event", b"1", Priority.HIGH, media=refs))
    drain = Drain(real, FakeUplink(), clock=SystemClock(), random=LOWEST, policy=QUICK, media=keeper)
    task = asyncio.create_task(drain.run())
    await until(lambda: keeper.freed == {"a" * 64, "b" * 64})
    task.cancel()
