"""Revisions of one thing: a newer one replaces what was not sent yet, an older one comes too late."""

from __future__ import annotations

from buffer.message import Draft, MediaRef, Priority
from buffer.store import Store

SHA = "ab" * 32


def event(revision: int, payload: bytes = b"", media: tuple[MediaRef, ...] = ()) -> Draft:
    return Draft("event", payload, Priority.HIGH, idempotency_key="event-1", revision=revision, media=media)


async def test_a_newer_revision_takes_the_place_of_one_that_waits(store: Store) -> None:
    await store.put(event(1, b"one", (MediaRef(SHA, 1, "a/b", "n", "r"),)))
    await store.put(event(3, b"three"))
    [message] = await store.lease(5)
    assert (message.revision, message.payload) == (3, b"three")
    depth = await store.depth()
    assert (depth.count, depth.superseded, depth.evicted) == (1, 1, 0)
    assert store.take_freed_media() == {SHA}


async def test_an_older_revision_that_comes_late_is_not_stored(store: Store) -> None:
    newer = await store.put(event(2))
    late = await store.put(event(1))
    assert (late.duplicate, late.id) == (True, newer.id)
    assert (await store.depth()).count == 1


async def test_a_revision_that_is_being_sent_is_left_alone(store: Store) -> None:
    await store.put(event(1, b"one"))
    [sending] = await store.lease(1)
    await store.put(event(2, b"two"))
    assert await store.ack([sending.id]) == 1
    assert [message.payload for message in await store.lease(5)] == [b"two"]


async def test_a_revision_after_delivery_is_a_message_of_its_own(store: Store) -> None:
    first = await store.put(event(1))
    await store.ack([first.id])
    second = await store.put(event(2))
    assert second.duplicate is False
    assert (await store.put(event(1))).id == first.id
    assert (await store.depth()).superseded == 0
