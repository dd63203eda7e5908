"""The store in daily use: in, out, order, duplicates, figures, waiting."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from buffer.errors import BufferClosed, InvalidDraft, MessageTooLarge
from buffer.message import Draft, Lane, MediaRef, Priority, boot_of, compose_id, priority_of
from buffer.store import Store
from tests.buffer.world import START, ManualClock, draft

MIB = 1024 * 1024
SHA = "ab" * 32


async def payloads(store: Store, limit: int = 100) -> list[bytes]:
    return [message.payload for message in await store.lease(limit)]


async def test_the_most_urgent_leave_first_and_in_order_of_arrival_inside_a_priority(store: Store) -> None:
    arrivals = [Priority.LOW, Priority.HIGH, Priority.CRITICAL, Priority.NORMAL] * 3
    for number, priority in enumerate(arrivals):
        await store.put(draft(priority, b"%d" % number))
    leased = await store.lease(100)
    assert [message.priority for message in leased] == sorted(arrivals)
    assert [int(message.payload) for message in leased] == [2, 6, 10, 1, 5, 9, 3, 7, 11, 0, 4, 8]


async def test_a_later_run_goes_behind_the_messages_of_an_earlier_one(path: Path, clock: ManualClock) -> None:
    for name in (b"first", b"second"):
        async with await Store.open(path, clock=clock) as store:
            await store.put(draft(payload=name))
    async with await Store.open(path, clock=clock) as store:
        leased = await store.lease(10)
    assert [message.payload for message in leased] == [b"first", b"second"]
    assert [message.boot for message in leased] == [1, 2]


async def test_a_message_comes_out_as_it_went_in(store: Store, clock: ManualClock) -> None:
    wanted = Draft(
        "meteor",
        b"\x00\xff payload",
        Priority.HIGH,
        content_type="application/cbor",
        idempotency_key="évén-☄",
        revision=3,
        expires_in=60,
        media=(
            MediaRef(SHA, 7, "image/jpeg", "фото 1.jpg", "frame"),
            MediaRef("cd" * 32, 0, "a/b", "n", "r"),
        ),
    )
    receipt = await store.put(wanted)
    [message] = await store.lease(1)
    assert (message.id, message.uuid) == (receipt.id, receipt.uuid)
    assert (message.kind, message.payload, message.priority) == ("meteor", wanted.payload, Priority.HIGH)
    assert (message.content_type, message.idempotency_key) == ("application/cbor", "évén-☄")
    assert (message.revision, message.retry_count, message.media) == (3, 0, wanted.media)
    assert (message.enqueued_at, message.expires_at) == (START, START + timedelta(seconds=60))
    assert (message.boottime_ms, message.clock_trusted) == (1_000_000, False)


@pytest.mark.parametrize(
    "payload", [b"", b"\x00", "naïve ☄ 日本語 \U0001f30c".encode(), bytes(range(256)) * 8192]
)
async def test_any_bytes_survive_a_restart(path: Path, payload: bytes) -> None:
    async with await Store.open(path) as store:
        await store.put(draft(payload=payload))
    async with await Store.open(path) as store:
        assert await payloads(store) == [payload]


async def test_a_message_id_holds_priority_run_and_order() -> None:
    message_id = compose_id(Priority.LOW, 2**23 - 1, 2**36 - 1, Lane.BULK)
    assert message_id < 2**63
    assert priority_of(message_id) is Priority.LOW
    assert boot_of(message_id) == 2**23 - 1
    assert (
        compose_id(Priority.HIGH, 9, 9)
        < compose_id(Priority.NORMAL, 1, 1)
        < compose_id(Priority.NORMAL, 1, 2)
    )
    with pytest.raises(OverflowError):
        compose_id(Priority.LOW, 2**23, 1)


async def test_the_uuid_is_of_version_seven_and_no_two_are_the_same(store: Store) -> None:
    receipts = [await store.put(draft()) for _ in range(50)]
    assert len({receipt.uuid for receipt in receipts}) == 50
    assert {receipt.uuid[14] for receipt in receipts} == {"7"}
    assert {receipt.uuid[19] for receipt in receipts} <= set("89ab")
    assert int(receipts[0].uuid.replace("-", "")[:12], 16) == int(START.timestamp() * 1000)


async def test_the_same_key_and_revision_is_stored_once(store: Store) -> None:
    first = await store.put(draft(key="event-1"))
    again = await store.put(draft(Priority.CRITICAL, b"other", key="event-1"))
    newer = await store.put(Draft("event", b"{}", Priority.NORMAL, idempotency_key="event-1", revision=2))
    assert (again.duplicate, again.id, again.uuid) == (True, first.id, first.uuid)
    assert (first.duplicate, newer.duplicate) == (False, False)
    assert (await store.depth()).count == 1


async def test_concurrent_puts_of_one_key_store_one_message(store: Store) -> None:
    receipts = await asyncio.gather(*(store.put(draft(key="same")) for _ in range(40)))
    assert sorted(receipt.duplicate for receipt in receipts) == [False] + [True] * 39
    assert len({receipt.id for receipt in receipts}) == 1


async def test_a_delivered_key_is_still_known_after_a_restart(path: Path) -> None:
    async with await Store.open(path) as store:
        first = await store.put(draft(key="event-1"))
        await store.ack([first.id])
    async with await Store.open(path) as store:
        again = await store.put(draft(key="event-1"))
        assert (again.duplicate, again.uuid) == (True, first.uuid)
        assert (await store.depth()).count == 0


async def test_a_leased_message_is_nobody_elses_until_it_is_released(store: Store) -> None:
    await store.put(draft(payload=b"one"))
    [message] = await store.lease(5)
    assert await store.lease(5) == []
    store.release([message.id])
    [again] = await store.lease(5)
    assert (again.id, again.retry_count) == (message.id, 0)


async def test_a_lease_ends_by_itself(store: Store, clock: ManualClock) -> None:
    await store.put(draft())
    await store.lease(1, seconds=30)
    clock.pass_time(29)
    assert await store.lease(1) == []
    clock.pass_time(2)
    assert len(await store.lease(1)) == 1


async def test_leases_end_with_the_process(path: Path) -> None:
    async with await Store.open(path) as store:
        await store.put(draft())
        await store.lease(1)
    async with await Store.open(path) as store:
        assert len(await store.lease(1)) == 1


async def test_a_lease_can_be_limited_by_lane_priority_and_size(store: Store) -> None:
    await store.put(draft(Priority.HIGH, b"x" * 600, kind="event"))
    await store.put(draft(Priority.NORMAL, b"y" * 600, kind="film", lane=Lane.BULK))
    await store.put(draft(Priority.NORMAL, b"z" * 600, kind="picture", lane=Lane.BULK))
    await store.put(draft(Priority.NORMAL, b"z" * 600, kind="log"))
    first = await store.lease(10, lane=Lane.BULK, max_bytes=1000)
    assert [message.kind for message in first] == ["film"]
    second = await store.lease(10, lane=Lane.EXPRESS, priorities=[Priority.NORMAL])
    assert [message.kind for message in second] == ["log"]
    third = await store.lease(10, max_bytes=10)
    assert [message.kind for message in third] == ["event"]
    assert [message.kind for message in await store.lease(10)] == ["picture"]


async def test_a_cancelled_lease_leaves_nothing_leased(store: Store) -> None:
    await store.put(draft())
    task = asyncio.create_task(store.lease(1))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.depth()  # answered after the lease, whose end has then come back
    assert len(await store.lease(1)) == 1


async def test_an_acknowledged_message_is_gone_and_counted(path: Path, clock: ManualClock) -> None:
    async with await Store.open(path, clock=clock) as store:
        receipts = [await store.put(draft()) for _ in range(3)]
        assert await store.ack([receipts[0].id, receipts[1].id]) == 2
        assert await store.ack([receipts[0].id]) == 0
        assert store.last_delivered_at == START
    async with await Store.open(path, clock=clock) as store:
        depth = await store.depth()
        assert (depth.count, depth.delivered, depth.last_delivered_at) == (1, 2, START)


async def test_depth_tells_count_bytes_and_age_per_priority(store: Store, clock: ManualClock) -> None:
    await store.put(draft(Priority.HIGH, b"12345"))
    clock.pass_time(10)
    await store.put(draft(Priority.HIGH, b"123"))
    await store.put(draft(Priority.LOW, b""))
    clock.wall -= timedelta(days=3650)
    depth = await store.depth()
    high, low = depth.levels[Priority.HIGH], depth.levels[Priority.LOW]
    assert (high.count, high.bytes, high.oldest_age) == (2, 8, 10.0)
    assert (low.count, low.bytes, low.oldest_age) == (1, 0, 0.0)
    assert depth.levels[Priority.CRITICAL].oldest_age is None
    assert (depth.count, depth.bytes) == (3, 8)


async def test_rows_tell_the_state_of_each_message(store: Store) -> None:
    kinds = ("leased", "delayed", "dead", "waiting")
    ids = {kind: (await store.put(draft(kind=kind, key=kind))).id for kind in kinds}
    await store.lease(1)
    await store.nack([ids["delayed"]], reason="busy", retry_in=30)
    await store.nack([ids["dead"]], reason="the cloud refused it", retry_in=None, permanent=True)
    rows = await store.rows(10)
    assert (
        [row.state for row in rows] == [row.kind for row in rows] == ["leased", "delayed", "waiting", "dead"]
    )
    assert [row.reason for row in rows] == [None, None, None, "the cloud refused it"]
    assert [row.retry_count for row in rows] == [0, 1, 0, 0]
    assert len(await store.rows(2)) == 2
    assert await store.rows(10, Priority.CRITICAL) == []


async def test_waiting_for_work_ends_with_a_put_and_only_one_urgent_enough(store: Store) -> None:
    any_bell, urgent_bell = store.bell(), store.bell()
    assert await store.wait_for_work(any_bell, 0.01) is False
    async with asyncio.TaskGroup() as tasks:
        urgent = tasks.create_task(store.wait_for_work(urgent_bell, 30, Priority.CRITICAL))
        await store.put(draft(Priority.HIGH))
        assert await store.wait_for_work(any_bell, 30) is True
        assert not urgent.done()
        await store.put(draft(Priority.CRITICAL))
        assert await urgent is True


async def test_waiting_for_work_ends_when_a_retry_is_due(path: Path) -> None:
    async with await Store.open(path) as store:
        receipt = await store.put(draft())
        await store.nack([receipt.id], reason="busy", retry_in=0.05)
        bell = store.bell()
        await store.wait_for_work(bell, 0)
        assert await store.lease(1) == []
        assert await store.wait_for_work(bell, 30) is True


async def test_notes_last_over_a_restart(path: Path) -> None:
    async with await Store.open(path) as store:
        await store.set_meta("breaker", "one")
        await store.set_meta("breaker", "two ☄")
        epoch = store.epoch
    async with await Store.open(path) as store:
        assert await store.get_meta("breaker") == "two ☄"
        assert await store.get_meta("other") is None
        assert store.epoch == epoch
        assert len(bytes.fromhex(epoch)) == 8


async def test_every_new_file_has_an_epoch_of_its_own(tmp_path: Path) -> None:
    async with await Store.open(tmp_path / "a.db") as one, await Store.open(tmp_path / "b.db") as other:
        assert one.epoch != other.epoch


async def test_a_synchronised_clock_corrects_the_messages_of_this_boot(
    path: Path, clock: ManualClock
) -> None:
    clock.wall = START - timedelta(days=9000)
    async with await Store.open(path, clock=clock) as store:
        await store.put(draft(payload=b"before"))
    clock.pass_time(50)
    async with await Store.open(path, clock=clock) as store:
        clock.wall = START
        await store.clock_is_right()
        clock.reboot("boot-2")
        [message] = await store.lease(1)
        assert (message.enqueued_at, message.clock_trusted) == (START - timedelta(seconds=50), True)


async def test_a_payload_above_the_limit_is_refused_by_name(store: Store) -> None:
    with pytest.raises(MessageTooLarge, match=r"BUF-004.*4194305"):
        await store.put(draft(payload=b"x" * (4 * MIB + 1)))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"kind": ""}, "kind"),
        ({"kind": "x" * 1025}, "kind"),
        ({"kind": "\ud800"}, "kind"),
        ({"content_type": ""}, "content_type"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"revision": 0}, "revision"),
        ({"revision": 2**31}, "revision"),
        ({"expires_in": 0.0}, "expires_in"),
        ({"expires_in": float("nan")}, "expires_in"),
        ({"expires_in": float("inf")}, "expires_in"),
        ({"media": (MediaRef(SHA, 1, "a/b", "", "frame"),)}, "media name"),
    ],
)
def test_a_draft_that_could_never_be_sent_is_refused_with_the_field_named(
    fields: dict[str, object], named: str
) -> None:
    values: dict[str, object] = {"kind": "event", "payload": b"", "priority": Priority.LOW}
    with pytest.raises(InvalidDraft, match=named):
        Draft(**(values | fields))  # type: ignore[arg-type]


async def test_a_closed_store_says_so_and_closing_twice_is_fine(path: Path) -> None:
    store = await Store.open(path)
    await store.close()
    await store.close()
    with pytest.raises(BufferClosed, match="BUF-011"):
        await store.put(draft())


async def test_what_is_queued_at_close_is_still_written(path: Path) -> None:
    store = await Store.open(path)
    puts = [asyncio.create_task(store.put(draft())) for _ in range(20)]
    await asyncio.sleep(0)
    await store.close()
    assert len({receipt.id for receipt in await asyncio.gather(*puts)}) == 20


async def test_concurrent_producers_share_commits(store: Store, path: Path) -> None:
    commits = _count_commits(store)
    await asyncio.gather(*(store.put(draft(payload=b"%d" % n)) for n in range(400)))
    assert (await store.depth()).count == 400
    assert commits() < 40


async def test_the_file_is_set_up_to_survive_a_power_cut(store: Store, path: Path) -> None:
    settings = {
        "journal_mode": "wal",
        "synchronous": 2,
        "wal_autocheckpoint": 0,
        "mmap_size": 0,
        "cell_size_check": 1,
        "page_size": 4096,
    }
    for name, value in settings.items():
        query = f"PRAGMA {name}"
        assert await store._read(lambda c, query=query: c.execute(query).fetchone()[0]) == value  # type: ignore[misc]


def _count_commits(store: Store) -> CommitCounter:
    counter = CommitCounter()
    store._writer.post(lambda c: c.set_trace_callback(counter.see))
    return counter


class CommitCounter:
    """Counts what SQLite itself reports."""

    def __init__(self) -> None:
        self._seen = 0

    def see(self, statement: str) -> None:
        self._seen += statement == "COMMIT"

    def __call__(self) -> int:
        return self._seen


async def test_the_log_does_not_grow_without_bound(store: Store, path: Path) -> None:
    log = path.with_name(path.name + "-wal")
    for _ in range(40):
        await store.put(draft(payload=b"x" * MIB))
    assert (await store.depth()).count == 40
    assert log.stat().st_size < 10 * MIB
