"""A claimed station's way to the cloud: buffer, media, signed client and delivery, before a fake cloud."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from appliance.identity.credentials import Credentials, from_claim
from appliance.identity.file_keys import ephemeral
from appliance.identity.nonces import Nonces
from appliance.uplink.client import CloudClient
from appliance.uplink.delivery import EVENT, MEDIA, Delivery
from appliance.uplink.time import CloudTime
from appliance.uplink.upload import MediaTicket
from buffer.media import MediaStore
from buffer.message import Draft, MediaRef, Message, Priority
from buffer.store import Store
from buffer.uplink import Outcome
from firmware.clock import SystemClock
from protocol.event import Event, Media
from tests.appliance.fakes import FakeCloud, event


@dataclass
class Uplink:
    """All parts; `uploaded` counts what the delivery reported."""

    cloud: FakeCloud
    store: Store
    media: MediaStore
    client: CloudClient
    credentials: Credentials | None
    folder: Path
    uploaded: list[int] = field(default_factory=list)

    @property
    def delivery(self) -> Delivery:
        """A fresh delivery, as after a start."""
        return Delivery(self.client, self.store, self.media, lambda: self.credentials, self.uploaded.append)

    async def file(self, size: int = 100, name: str = "a.jpg") -> tuple[MediaRef, bytes]:
        """A file of random bytes in the media store, held by nobody but the messages that will name it."""
        data = os.urandom(size)
        path = self.folder / name
        path.write_bytes(data)
        return await self.media.add_file(path, "image/jpeg", name, "media", move=False), data

    async def put_event(
        self,
        number: int = 1,
        priority: Priority = Priority.HIGH,
        files: Sequence[MediaRef] = (),
        **changes: Any,
    ) -> Event:
        """An event in the buffer."""
        made = event(number, media=[Media(**asdict(ref)) for ref in files], **changes)
        await self.store.put(
            Draft(
                kind=EVENT,
                payload=msgspec.json.encode(made),
                priority=priority,
                idempotency_key=made.client_event_id,
                media=tuple(files),
            )
        )
        return made

    async def put_media(self, ref: MediaRef, event_id: str = "e") -> MediaTicket:
        """The message that stands for a file."""
        ticket = MediaTicket(event_id, ref.sha256, ref.size, ref.mime, ref.name)
        await self.store.put(
            Draft(
                kind=MEDIA,
                payload=msgspec.json.encode(ticket),
                priority=Priority.NORMAL,
                idempotency_key=f"media:{event_id}:{ref.sha256}",
                media=(ref,),
            )
        )
        return ticket

    async def leased(self) -> list[Message]:
        """Everything that waits."""
        return await self.store.lease(100)

    async def deliver(self) -> list[tuple[Message, Outcome]]:
        """One batch of all that waits, and what became of it; nothing is settled."""
        batch = await self.leased()
        try:
            return list(zip(batch, await self.delivery.deliver(batch), strict=True))
        finally:
            self.store.release([message.id for message in batch])

    async def waiting(self) -> list[str]:
        """The kinds of what waits, most urgent first."""
        return [row.kind for row in await self.store.rows(100) if row.state not in ("dead", "sent")]


@asynccontextmanager
async def uplink(folder: Path) -> AsyncIterator[Uplink]:
    """Opens everything in a folder."""
    key = ephemeral()
    async with FakeCloud() as cloud, await Store.open(folder / "buffer" / "buffer.db") as store:
        cloud.keys[key.keyid] = key.public_key
        media = MediaStore(folder / "buffer" / "media", store)
        clock = SystemClock(built=time.time() - 1000)
        client = CloudClient(cloud.url, key, Nonces(folder), CloudTime(clock), aiohttp.TCPConnector)
        yield Uplink(cloud, store, media, client, from_claim(cloud.complete(), cloud.url), folder)
        await client.close()
