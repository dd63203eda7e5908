"""What the tests of the sources share: a real buffer with an intake before it, and events to hand in."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from appliance.sources.accept import Accepted, Intake
from buffer.capacity import Limits
from buffer.media import MediaStore
from buffer.message import Message
from buffer.store import Store
from protocol.clock import parse
from protocol.event import Event
from protocol.messages import Clock

NOW = "2026-08-12T22:20:00.000Z"
MEDIA_LIMIT = 5_000_000


class FixedTime:
    """A station whose clock stands still, ten minutes after boot."""

    boot_id = "boot-1"

    @property
    def system(self) -> FixedTime:
        return self

    def report(self) -> Clock:
        return Clock(synced=True, source="ntp", utc=NOW, mono_ms=600_000)


@dataclass
class Station:
    """A buffer on the disk with an intake before it."""

    store: Store
    media: MediaStore
    intake: Intake
    accepted: list[Accepted] = field(default_factory=list)

    async def messages(self) -> list[Message]:
        """Everything that waits, most urgent first; leased for a moment and given back."""
        found = await self.store.lease(1000)
        self.store.release([message.id for message in found])
        return found

    async def events(self) -> list[Event]:
        """The events that wait."""
        return [msgspec.json.decode(message.payload, type=Event) for message in await self.messages()]

    async def bytes_of(self, event: Event, index: int = 0) -> bytes:
        """The content of one of its files."""
        media = event.media[index]
        return await self.media.read(media.sha256, 0, media.size)


@asynccontextmanager
async def station(folder: Path, limits: Limits | None = None) -> AsyncIterator[Station]:
    """Opens the buffer in a folder; what an earlier one left there is still there."""
    async with await Store.open(folder / "buffer.db", limits=limits) as store:
        media = MediaStore(folder / "media", store, max_bytes=MEDIA_LIMIT)
        await media.sweep()
        accepted: list[Accepted] = []
        wall = parse(NOW).timestamp()
        intake = Intake(store, media, FixedTime(), accepted.append, wall=lambda: wall)
        yield Station(store, media, intake, accepted)


def event_json(**changes: Any) -> bytes:
    """The short shape, with changes; a value of None removes the field."""
    event = {
        "device_id": "cam-north",
        "timestamp": "2026-08-12T22:14:03.250Z",
        "event_type": "meteor",
        "confidence": 0.9,
        "metadata": {"fps": 25.0},
        "media_files": [],
    } | changes
    return json.dumps({name: value for name, value in event.items() if value is not None}).encode()


def media_files(folder: Path) -> list[Path]:
    """Files that the media store holds."""
    return [path for path in (folder / "media").glob("??/*") if path.is_file()]
