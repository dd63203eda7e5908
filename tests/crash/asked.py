"""What the camera programs hand in during a trial: the events, their files, and who hears which yes."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

_URL = "http://station/ingest/v1/events"


@dataclass(frozen=True)
class Asked:
    """One event. `repeats`: its program says it again when it heard no answer."""

    name: str
    priority: str
    files: dict[str, bytes] = field(default_factory=dict)
    revision: int = 1
    named: bool = True
    alone: bool = False
    repeats: bool = True

    @property
    def mark(self) -> str:
        """Says at the receiver which event this is; travels in the metadata, or is the name of the file."""
        if self.alone:
            return f"alone {next(iter(self.files))}"
        return f"{self.name}/{self.revision}"

    @property
    def hashes(self) -> list[str]:
        """Of its files, in order."""
        return [hashlib.sha256(data).hexdigest() for data in self.files.values()]

    def description(self, number: int) -> dict[str, Any]:
        """As the program writes it."""
        event: dict[str, Any] = {
            "event_type": "meteor",
            "timestamp": f"2026-01-01T00:00:{number:02d}.125Z",
            "confidence": 0.5 + number / 100,
            "priority": self.priority,
            "revision": self.revision,
            "metadata": {"mark": self.mark, "text": f"{self.mark}," * 40},
            "media": [
                {"name": name, "sha256": sha, "size": len(data)}
                for (name, data), sha in zip(self.files.items(), self.hashes, strict=True)
            ],
        }
        return event | ({"client_event_id": self.name} if self.named else {})


def spooled(chance: random.Random) -> list[Asked]:
    """Handed in by the folder, before the station starts; the order is that of their times."""

    def files(*sizes: int) -> dict[str, bytes]:
        return {f"s{chance.randrange(10**8)}.jpg": chance.randbytes(size) for size in sizes}

    return [
        Asked("s-high", "high"),
        Asked("s-low", "low", files(700)),
        Asked("s-two", "high", files(1_300_000, 20_000)),
        Asked("s-critical", "critical", files(5_000)),
        Asked("s-nameless", "normal", files(3_000), named=False),
        Asked("s-last", "high"),
        Asked("s-alone", "high", files(9_000), alone=True),
    ]


def posted(chance: random.Random, before: list[Asked]) -> list[Asked]:
    """Handed in at the socket, one after the other, once the spool is empty."""
    known = next(iter(before[2].files.values()))
    return [
        Asked("p-critical", "critical"),
        Asked("p-file", "high", {"a.jpg": chance.randbytes(300_000)}),
        Asked("p-unsure", "normal", {"b.jpg": chance.randbytes(40_000)}, repeats=False),
        Asked("p-known", "low", {"c.jpg": known}),
        Asked("p-revised", "high"),
        Asked("p-revised", "high", revision=2),
        Asked("p-plain", "normal", repeats=False),
    ]


def drop(spool: Path, events: list[Asked]) -> None:
    """Puts them into the folder as the contract says; each a second younger than the one before."""
    spool.mkdir(parents=True)
    moment = time.time() - 1000
    for number, event in enumerate(events):
        for name, data in event.files.items():
            _write(spool / name, data, moment + number)
        if not event.alone:
            text = msgspec.json.encode(event.description(number))
            temporary = spool / f"e{number}.json.tmp"
            _write(temporary, text, moment + number + 0.5)
            temporary.rename(spool / f"e{number}.json")


def _write(path: Path, data: bytes, moment: float) -> None:
    path.write_bytes(data)
    os.utime(path, (moment, moment))


@dataclass
class Program:
    """A camera program at the socket; what it heard."""

    socket: Path
    spool: Path
    events: list[Asked]
    yes: list[Asked] = field(default_factory=list)
    unsure: list[Asked] = field(default_factory=list)

    async def run(self) -> None:
        """Waits until the folder is taken, then posts; ends when it is through with all of its events."""
        while any(path.is_file() for path in self.spool.iterdir()):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
        connector = aiohttp.UnixConnector(str(self.socket), force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            for number, event in enumerate(self.events):
                await self._post(session, number, event)

    async def _post(self, session: aiohttp.ClientSession, number: int, event: Asked) -> None:
        while True:
            try:
                async with session.post(_URL, data=_form(number, event)) as answer:
                    assert answer.status == 202, await answer.text()
                    self.yes.append(event)
                    return
            except (aiohttp.ClientConnectorError, FileNotFoundError):
                await asyncio.sleep(0.01)  # nobody is there: nothing was said yet
            except (aiohttp.ClientError, ConnectionError):
                if not event.repeats:
                    self.unsure.append(event)
                    return


def _form(number: int, event: Asked) -> aiohttp.FormData:
    form = aiohttp.FormData()
    text = io.BytesIO(msgspec.json.encode(event.description(30 + number)))
    form.add_field("event", text, filename="event.json", content_type="application/json")
    for name, data in event.files.items():
        form.add_field("file", io.BytesIO(data), filename=name)
    return form
