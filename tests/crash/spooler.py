"""A station's intake to be cut off: a camera program fills the spool, the intake takes, a consumer delivers.

Lines on standard output, each written at once: `open`, `took NAME` after the yes, `asked NAME` before an
acknowledgement. Every other event comes from a program that makes its files durable; the others do not.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from appliance.sources.accept import Accepted, Intake
from appliance.sources.spool import Spool
from buffer.folders import sync_folder
from buffer.media import MediaStore
from buffer.message import Message
from buffer.store import Store
from tests.appliance.sources_support import FixedTime
from tests.crash.life import LIMITS

SETTLE_S = 0.15


@dataclass(frozen=True)
class Shot:
    """One event with its pictures; all follows from its number."""

    number: int

    @property
    def careful(self) -> bool:
        """Whether its program flushes what it writes."""
        return self.number % 2 == 0

    @property
    def alone(self) -> bool:
        """Whether it is a picture without a description."""
        return self.number % 5 == 4

    @property
    def files(self) -> dict[str, bytes]:
        """Its pictures."""
        chance = random.Random(self.number)
        count = 1 if self.alone else self.number % 3
        return {
            f"p{self.number}-{n}.jpg": chance.randbytes(chance.choice((300, 9000, 150_000)))
            for n in range(count)
        }

    @property
    def description(self) -> bytes:
        """Its JSON."""
        event = {
            "client_event_id": f"e{self.number}",
            "event_type": "meteor",
            "timestamp": "2026-01-01T00:00:00Z",
            "metadata": {"text": f"{self.number}," * 200},
            "media_files": list(self.files),
        }
        return msgspec.json.encode(event)


@dataclass(frozen=True)
class Station:
    """The intake's parts; `missing` are files that messages name and that are gone."""

    store: Store
    media: MediaStore
    spool: Spool
    missing: frozenset[str]


@asynccontextmanager
async def station(data: Path, now: list[float] | None = None) -> AsyncIterator[Station]:
    """Opens everything below `data`; `now` moves the spool's clock by hand."""
    async with await Store.open(data / "buffer/buffer.db", limits=LIMITS) as store:
        media = MediaStore(data / "buffer/media", store)
        missing = (await media.sweep()).missing
        intake = Intake(store, media, FixedTime(), _told)
        if now is None:
            spool = Spool(data / "spool", intake, settle_s=SETTLE_S, poll_s=0.003)
        else:
            spool = Spool(data / "spool", intake, settle_s=SETTLE_S, monotonic=lambda: now[0])
        yield Station(store, media, spool, missing)


def name_of(message: Message) -> str:
    """What an event is called here: its own name, or that of the picture that came alone."""
    event = msgspec.json.decode(message.payload)
    return str(event["metadata"].get("file_name") or event["client_event_id"])


def say(*words: object) -> None:
    """One line; a pipe takes it whole or not at all."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def _told(accepted: Accepted) -> None:
    if not accepted.client_event_id.startswith("file:"):
        say("took", accepted.client_event_id)


def drop(spool: Path, shot: Shot) -> None:
    """Pictures first, then the description by rename."""
    for name, data in shot.files.items():
        _write(spool / name, data, shot.careful)
    if not shot.alone:
        temporary = spool / f"e{shot.number}.json.tmp"
        _write(temporary, shot.description, shot.careful)
        temporary.rename(spool / f"e{shot.number}.json")
    if shot.careful:
        sync_folder(spool)


def _write(path: Path, data: bytes, careful: bool) -> None:
    with path.with_name(path.name + ".part").open("wb", buffering=0) as file:
        file.write(data)
        if careful:
            os.fsync(file.fileno())
    path.with_name(path.name + ".part").rename(path)


async def _produce(spool: Path) -> None:
    number = 0
    while True:
        await asyncio.to_thread(drop, spool, Shot(number))
        number += 1
        await asyncio.sleep(0.004)


async def _consume(station: Station) -> None:
    """Delivers about every other message, and lets its files go."""
    while True:
        batch = await station.store.lease(10)
        chosen = batch[::2]
        for message in chosen:
            say("asked", name_of(message))
        await station.store.ack([message.id for message in chosen])
        station.store.release([message.id for message in batch])
        await station.media.collect(station.store.take_freed_media())
        await asyncio.sleep(0.02)


async def main(data: Path, seconds: float) -> None:
    """Works for so long."""
    (data / "spool").mkdir()
    async with station(data) as here:
        say("open")
        try:
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as tasks:
                tasks.create_task(_produce(data / "spool"))
                tasks.create_task(here.spool.run())
                tasks.create_task(_consume(here))
        except TimeoutError:
            pass


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2])))
