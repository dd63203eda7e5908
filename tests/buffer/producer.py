"""A process to be killed: it puts, leases and acknowledges, and says after each yes what it was told.

Lines on standard output, each written at once: `put ID`, `asked ID` before an acknowledgement, `acked ID`.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

from buffer.message import Draft, Priority
from buffer.store import Store


def payload_of(key: str) -> bytes:
    """The payload that belongs to a key, from nothing to a few pages long."""
    chance = random.Random(key)
    return key.encode() * chance.choice((0, 1, 10, 100, 600))


def say(*words: object) -> None:
    """One line; a pipe takes it whole or not at all."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def produce(store: Store, name: str) -> None:
    """Put for ever."""
    number = 0
    while True:
        number += 1
        key = f"{name}-{number}"
        draft = Draft("event", payload_of(key), Priority(number % 4), idempotency_key=key)
        receipt = await store.put(draft)
        say("put", receipt.id, key)


async def consume(store: Store) -> None:
    """Acknowledge about every other message."""
    while True:
        batch = [message.id for message in await store.lease(20)]
        chosen = batch[::2]
        for message_id in chosen:
            say("asked", message_id)
        await store.ack(chosen)
        for message_id in chosen:
            say("acked", message_id)
        store.release(batch)
        await asyncio.sleep(0.002)


async def main(path: Path, run: str) -> None:
    async with await Store.open(path) as store, asyncio.TaskGroup() as tasks:
        say("open")
        for number in range(6):
            tasks.create_task(produce(store, f"{run}-{number}"))
        tasks.create_task(consume(store))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
