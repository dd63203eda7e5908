"""One life of a station in a process that will be killed: the whole road of an event, in production classes.

What is left out is what has no part in that road: network, claim, heartbeat, pages. Nothing here knows of
steps or kills; those are the business of `steps.c`, which is preloaded.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec

from appliance.control import serve
from appliance.identity.credentials import CredentialsFile
from appliance.identity.file_keys import FileKeys
from appliance.identity.keys import load_or_create
from appliance.identity.nonces import Nonces
from appliance.paths import Paths
from appliance.sources.accept import Intake
from appliance.sources.ingest import create_ingest_app
from appliance.sources.spool import Spool
from appliance.uplink.client import CloudClient
from appliance.uplink.delivery import Delivery
from appliance.uplink.time import CloudTime
from buffer.capacity import Limits
from buffer.clock import SystemClock as BufferClock
from buffer.confirmation import ConfirmPolicy
from buffer.drain import DrainPolicy
from buffer.drains import Drains
from buffer.listing import Depth
from buffer.media import MediaStore
from buffer.message import Priority
from buffer.retention import MediaRules
from buffer.store import Store
from buffer.upkeep import Upkeep
from firmware.clock import SystemClock
from tests.crash.broken import spoil

LIMITS = Limits(max_bytes=64 << 20, ballast_bytes=1 << 20, own_bytes=1 << 20)
"""So that a life does not begin with laying in tens of megabytes."""
RULES = MediaRules(max_storage_gb=1.0, hard_storage_gb=2.0, retention_days=0.0)
"""An owner who keeps nothing that is uploaded."""
LONGEST_S = 120.0


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What this life is to be. `live` lets the uplink run from the start, otherwise it waits for `go`.

    With `keep` uploaded files are deleted by the owner's rules, as a station does it, otherwise at once.
    It ends at the step of `cut`, or after so many seconds, whatever it does then.

    The station's data lie in `folder / "data"`; everything else there is the harness's.
    """

    folder: str
    url: str
    live: bool = False
    keep: bool = False
    cut: str = ""
    seconds: float | None = None
    spoiled: str = ""

    @property
    def home(self) -> Path:
        """Where notes and logs of this trial lie."""
        return Path(self.folder)

    @property
    def paths(self) -> Paths:
        """The station's own places."""
        return Paths(self.home / "data")


@dataclass(frozen=True)
class Parts:
    """What runs."""

    store: Store
    spool: Spool
    drain: Drains
    intake: Intake
    upkeep: Upkeep


async def live(order: Order) -> None:
    """Runs until everything that was handed in is delivered; then the depth is written down."""
    async with asyncio.timeout(LONGEST_S), _parts(order) as parts:
        socket = order.paths.data / "run/ingest.sock"
        runner = await serve(create_ingest_app(parts.intake), socket, 0o660)
        tasks = [asyncio.create_task(parts.spool.run()), asyncio.create_task(_drain(order, parts.drain))]
        if order.keep:
            tasks.append(asyncio.create_task(parts.upkeep.run()))
        done = asyncio.create_task(_until_done(order, parts))
        await asyncio.wait([*tasks, done], return_when=asyncio.FIRST_COMPLETED)
        await runner.cleanup()
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended
        await done
        if order.keep:
            await parts.upkeep.once()
        (order.home / "depth.json").write_bytes(msgspec.json.encode(_figures(await parts.store.depth())))


@asynccontextmanager
async def _parts(order: Order) -> AsyncIterator[Parts]:
    paths = order.paths
    async with await Store.open(paths.buffer_file, limits=LIMITS) as store:
        media = MediaStore(paths.media, store, keep_uploaded=order.keep)
        await media.sweep()
        clock = CloudTime(SystemClock(built=time.time() - 1000))
        credentials = CredentialsFile(paths.identity)
        key, nonces = load_or_create(paths.identity, FileKeys()), Nonces(paths.state)
        client = CloudClient(order.url, key, nonces, clock, aiohttp.TCPConnector)
        delivery = Delivery(client, store, media, lambda: credentials.current, lambda _: None)
        drain = Drains(
            store,
            express=delivery,
            bulk=delivery,
            clock=BufferClock(),
            random=random.random,
            policy=DrainPolicy(confirm=ConfirmPolicy(after=0.1)),
            media=media,
        )
        intake = Intake(store, media, clock)
        spool = Spool(paths.data / "spool", intake, settle_s=0.3, poll_s=0.02)
        upkeep = Upkeep(store, media, lambda: RULES, clock_trusted=lambda: True, every=0.1)
        spoil(order.spoiled, store, delivery)
        try:
            yield Parts(store, spool, drain, intake, upkeep)
        finally:
            await client.close()


async def _drain(order: Order, drain: Drains) -> None:
    while not order.live and not _go(order):  # noqa: ASYNC110 - another process says so
        await asyncio.sleep(0.01)
    await drain.run()


async def _until_done(order: Order, parts: Parts) -> None:
    """Everything was handed in, taken, and sent."""
    spool = order.paths.data / "spool"
    while not _go(order) or _in(spool) or _waiting(parts):  # noqa: ASYNC110 - another process says so
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)  # the drain deletes the files of what it has just been rid of


def _in(folder: Path) -> bool:
    return any(path.is_file() for path in folder.iterdir())


def _waiting(parts: Parts) -> bool:
    """Whether anything has not been sent, or not been found at the cloud by a second question."""
    lanes = (parts.drain.progress(), parts.drain.files())
    busy = any(lane.in_flight + lane.unconfirmed for lane in lanes)
    return busy or any(parts.store.waiting(priority) for priority in Priority)


def _go(order: Order) -> bool:
    return (order.home / "go").exists()


def _figures(depth: Depth) -> dict[str, int]:
    names = ("count", "dead", "evicted", "expired", "dead_dropped", "dropped", "quarantined", "lost")
    return {name: getattr(depth, name) for name in names}
