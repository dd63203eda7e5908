"""A process whose disk fails at the n-th call: the real store, media and intake do a night's work in it.

For every n: fault, work, fault lifted, work goes on, and the file is opened once more to see what is there.
One line of JSON on standard output for each n; what is wrong stands in `wrong`.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import re
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from appliance.sources.accept import Intake
from appliance.sources.schema import Observation, SourceMedia
from appliance.uplink.time import CloudTime
from buffer import log, space, writer
from buffer.capacity import Limits
from buffer.errors import StoreError
from buffer.media import MediaStore
from buffer.message import Draft, Priority
from buffer.store import Store
from firmware.fakes import FakeClock

LIMITS = Limits(ballast_bytes=256 * 1024, own_bytes=200 * 1024)
TRIES = 30
SHIM = ctypes.CDLL(None)
SHIM.fault_last.restype = ctypes.c_char_p


@dataclass
class Night:
    """What the store was asked and what it answered."""

    folder: Path
    accepted: dict[str, bytes] = field(default_factory=dict)
    refused: dict[str, bytes] = field(default_factory=dict)
    acked: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    codes: set[str] = field(default_factory=set)
    last: str = ""

    @property
    def path(self) -> Path:
        return self.folder / "buffer" / "buffer.db"

    def refuse(self, error: StoreError) -> None:
        """A refusal must say what it is and what to do."""
        self.codes.add(error.code)
        self.last = str(error)
        if error.code not in ("BUF-003", "BUF-005") or not error.action or not error.sentence:
            self.wrong.append(f"no clear error: {error!r}")


def events() -> Iterator[tuple[str, bytes]]:
    for number in range(5):
        yield f"night:{number}", f"picture {number} ".encode() * 900


async def _bytes(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def observe(intake: Intake, key: str, picture: bytes) -> None:
    async with intake.delivery() as delivery:
        ref = await delivery.add("sky.jpg", _bytes(picture))
        observation = Observation(
            event_type="meteor", timestamp="2026-08-12T22:00:00Z", client_event_id=key, priority="high"
        )
        await delivery.accept(observation, [(SourceMedia(name="sky.jpg"), ref)], "test")


async def open_store(night: Night, tries: int = 1) -> Store | None:
    for _ in range(tries):
        try:
            return await Store.open(night.path, limits=LIMITS)
        except StoreError as error:
            night.refuse(error)
            await asyncio.sleep(0.1 if tries > 1 else 0)
    return None


async def work(night: Night, store: Store, todo: dict[str, bytes]) -> None:
    """Take events in, note something, acknowledge one; every refusal is kept."""
    media = MediaStore(night.folder / "buffer" / "media", store)
    intake = Intake(store, media, CloudTime(FakeClock()))
    for key, picture in todo.items():
        try:
            await observe(intake, key, picture)
            night.accepted[key] = picture
            night.refused.pop(key, None)
        except StoreError as error:
            night.refuse(error)
            night.refused[key] = picture
    for step in (_pack, _acknowledge, _chatter):
        try:
            await step(night, store, media)
        except StoreError as error:
            night.refuse(error)


async def _pack(night: Night, store: Store, media: MediaStore) -> None:
    await media.pack(8)


async def _acknowledge(night: Night, store: Store, media: MediaStore) -> None:
    for message in await store.lease(1):
        key = str(message.idempotency_key)
        night.asked.add(key)
        await store.ack([message.id])
        night.acked.add(key)
        await media.collect(store.take_freed_media())


async def _chatter(night: Night, store: Store, media: MediaStore) -> None:
    await store.put_soon(Draft("log", b"a word" * 400, Priority.LOW))
    await store.set_meta("note", "x" * 100)
    await store.put(Draft("status", b"{}", Priority.NORMAL))


async def one(night: Night, n: int, error: int, lasting: bool) -> dict[str, object]:
    night.folder.mkdir(parents=True)
    SHIM.fault_arm(str(night.folder).encode(), n, error, int(lasting))
    store = await open_store(night)
    todo = dict(events())
    if store is not None:
        await work(night, store, todo)
        await asyncio.sleep(0.02)  # an idle moment: ballast and room of its own
    else:
        night.refused |= todo
    told = {"n": n, "seen": SHIM.fault_seen(), "fired": SHIM.fault_fired(), "at": SHIM.fault_last().decode()}
    SHIM.fault_lift()
    await recover(night, store)
    await check(night)
    return told | {"wrong": night.wrong, "codes": sorted(night.codes)}


async def recover(night: Night, store: Store | None) -> None:
    """The fault is over: the same process goes on, and what was refused is taken now."""
    if store is None:
        store = await open_store(night, TRIES)
    if store is None:
        night.wrong.append("never opened again")
        return
    for _ in range(TRIES):
        if not night.refused:
            break
        await work(night, store, dict(night.refused))
        await asyncio.sleep(0.02)
    if night.refused:
        night.wrong.append(f"still refused: {sorted(night.refused)}, {night.codes}, {night.last}")
    await store.close()


async def check(night: Night) -> None:
    """What a later start finds."""
    store = await Store.open(night.path, limits=LIMITS)
    await store.rescued()
    media = MediaStore(night.folder / "buffer" / "media", store)
    await media.sweep()
    found: dict[str, int] = {}
    while batch := await store.lease(100):
        for message in batch:
            if message.kind != "event":
                continue
            key = str(message.idempotency_key)
            found[key] = found.get(key, 0) + 1
            for ref in message.media:
                if await media.read(ref.sha256, 0, 1 << 20) != night.accepted.get(key):
                    night.wrong.append(f"another picture: {key}")
    depth = await store.depth()
    lost = night.accepted.keys() - night.asked - found.keys()
    back = found.keys() & night.acked
    doubled = [key for key, count in found.items() if count > 1]
    sound = await store._read(lambda c: c.execute("PRAGMA quick_check").fetchone()[0])
    for name, value, wanted in (
        ("lost", lost, set()),
        ("acknowledged and back", back, set()),
        ("doubled", doubled, []),
        ("check", sound, "ok"),
        ("quarantined", depth.quarantined, 0),
        ("dead", depth.dead, 0),
    ):
        if value != wanted:
            night.wrong.append(f"{name}: {value}")
    await store.close()


async def main(root: Path, error: int, lasting: bool, step: int, offset: int) -> None:
    """Every `step`-th call, from `offset` on, until there is none left to fail."""
    writer._IDLE_SECONDS = 0.005
    for module in (writer, log):
        vars(module)["IDLE_BYTES"] = 1
    vars(space)["_GROW"] = tuple(each.replace(str(space._PIECE), str(64 * 1024)) for each in space._GROW)
    n = 1 + offset
    while True:
        folder = root / f"n{n}"
        told = await one(Night(folder), n, error, lasting)
        print(json.dumps(told), flush=True)
        shutil.rmtree(folder)
        if not told["fired"]:
            break
        n += step


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    assert re.fullmatch(r"[01]", sys.argv[3])
    asyncio.run(
        main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1", int(sys.argv[4]), int(sys.argv[5]))
    )
