"""Stations that are broken on purpose: the matrix must find what each of them does wrong."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence

import msgspec

from appliance.uplink.delivery import EVENT, Delivery
from buffer.message import Draft, Message, Receipt
from buffer.store import Store
from buffer.uplink import Outcome

_later: set[asyncio.Task[Receipt]] = set()


def early_yes(store: Store, _: Delivery) -> None:
    """Says yes and commits a moment later."""
    put = store.put

    async def spoiled(draft: Draft) -> Receipt:
        async def commit() -> Receipt:
            await asyncio.sleep(0.2)
            return await put(draft)

        _later.add(asyncio.create_task(commit()))
        return Receipt(1, "none", duplicate=False)

    store.put = spoiled  # type: ignore[method-assign]


def early_ack(store: Store, delivery: Delivery) -> None:
    """Forgets a message before the cloud has it."""
    deliver = delivery.deliver

    async def spoiled(batch: Sequence[Message]) -> Sequence[Outcome]:
        await store.ack([message.id for message in batch])
        return await deliver(batch)

    delivery.deliver = spoiled  # type: ignore[method-assign]


def new_names(_: Store, delivery: Delivery) -> None:
    """Gives an event another name with every try, so that the cloud cannot tell that it knows it."""
    deliver, tries = delivery.deliver, hashlib.sha256(str(id(delivery)).encode())

    async def spoiled(batch: Sequence[Message]) -> Sequence[Outcome]:
        tries.update(asyncio.get_running_loop().time().hex().encode())
        mark = tries.hexdigest()[:12]
        return await deliver([_renamed(message, mark) for message in batch])

    delivery.deliver = spoiled  # type: ignore[method-assign]


def _renamed(message: Message, mark: str) -> Message:
    if message.kind != EVENT:
        return message
    event = msgspec.json.decode(message.payload)
    event["client_event_id"] += mark
    event["event_id"] = event["event_id"][:24] + mark
    values = {name: getattr(message, name) for name in message.__slots__}
    return Message(**(values | {"payload": msgspec.json.encode(event)}))


BROKEN: dict[str, Callable[[Store, Delivery], None]] = {
    "early_yes": early_yes,
    "early_ack": early_ack,
    "new_names": new_names,
}


def spoil(how: str, store: Store, delivery: Delivery) -> None:
    """Breaks these parts; a station without a name of a fault stays as it is."""
    if how:
        BROKEN[how](store, delivery)
