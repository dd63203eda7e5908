"""From a camera program's drop to the whole event at the cloud: 2 MB through the real programs on loopback.

Run with `python -m bench.event_upload [--events N] [--bytes N]`. The real cloud and a station with a
simulated radio run as processes; an event is complete when the cloud tells its owner's page that the file is
stored, with the right hash. The peer is a plain aiohttp POST of the same bytes to a bare aiohttp server,
which keeps nothing. Doors and peer take turns in random order. Each door has a station of its own: the cloud
lets a station make 100 requests at once and 1000 an hour: more than 20 events would measure that limit.
Three doors, because a spool waits on purpose:

- the socket: nothing waits;
- the spool by its contract (files, then the description by rename): it is looked at once a second;
- a picture alone in the spool: it must also be still for `sources.settle_seconds`, here one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec

from bench.buffer.slices import percentile
from bench.buffer.tables import markdown, number
from scripts.people import Owner
from scripts.processes import Cloud, Station, eventually, free_port
from scripts.steps import claim, go_online

SETTLE_S = 1
DOORS = 3
PATIENCE_S = 120.0
BETWEEN_S = 1.5
"""Events come apart by up to this, so that they do not fall in step with the spool's look once a second."""

BARE = """
import sys
from aiohttp import web

async def take(request):
    return web.Response(text=str(len(await request.read())))

app = web.Application(client_max_size=1 << 30)
app.add_routes([web.post("/", take)])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""

Door = Callable[[bytes], Awaitable[None]]


class News:
    """What the cloud tells its owner's page: the hashes of the files that are complete."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Event] = {}

    def expect(self, sha256: str) -> asyncio.Event:
        """Set when the cloud has this file."""
        return self._waiting.setdefault(sha256, asyncio.Event())

    async def listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Until the socket closes."""
        async for message in socket:
            frame = msgspec.json.decode(message.data)
            if frame["event"] == "event-media" and (known := self._waiting.get(frame["data"]["sha256"])):
                known.set()


@contextlib.asynccontextmanager
async def told(owner: Owner, cloud: Cloud, session: aiohttp.ClientSession) -> AsyncIterator[News]:
    """The owner's page is open and hears the news."""
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in owner.cookies)
    headers = {"Origin": cloud.url(), "Cookie": cookies}
    news = News()
    async with session.ws_connect(f"{cloud.url()}/device-realtime", headers=headers) as socket:
        listening = asyncio.create_task(news.listen(socket))
        try:
            yield news
        finally:
            listening.cancel()


@dataclass(frozen=True)
class Doors:
    """The ways into one station."""

    station: Station
    session: aiohttp.ClientSession

    async def socket(self, picture: bytes) -> None:
        """POST to the ingest socket; returns with the yes."""
        form = aiohttp.FormData()
        form.add_field("event", msgspec.json.encode(described(picture)).decode())
        form.add_field("file", picture, filename=name_of(picture))
        async with self.session.post("http://station/ingest/v1/events", data=form) as answer:
            if answer.status != 202:
                raise RuntimeError(f"the station answered {answer.status}: {await answer.text()}")

    async def spool(self, picture: bytes) -> None:
        """The file, then its description by rename, as the contract asks."""
        name = name_of(picture)
        event = described(picture) | {"media_files": [name]}
        await asyncio.to_thread(self.station.drop, name, event, **{name: picture})

    async def alone(self, picture: bytes) -> None:
        """Only the picture."""
        path = self.station.data / "spool" / name_of(picture)
        await asyncio.to_thread(path.write_bytes, picture)


def name_of(picture: bytes) -> str:
    """A file name of its own."""
    return f"{hashlib.sha256(picture).hexdigest()[:16]}.jpg"


def described(picture: bytes) -> dict[str, object]:
    """The least that an event says, and a name."""
    return {
        "event_type": "meteor",
        "timestamp": "2026-01-01T00:00:00Z",
        "client_event_id": f"bench:{name_of(picture)}",
    }


async def until_complete(door: Door, news: News, size: int) -> float:
    """Seconds from the drop to the whole event at the cloud. Raises TimeoutError."""
    picture = os.urandom(size)
    complete = news.expect(hashlib.sha256(picture).hexdigest())
    began = time.perf_counter()
    async with asyncio.timeout(PATIENCE_S):
        await door(picture)
        await complete.wait()
    return time.perf_counter() - began


@contextlib.contextmanager
def bare_server(folder: Path) -> Iterator[str]:
    """An aiohttp server that takes bytes; its address."""
    port = free_port()
    with subprocess.Popen([sys.executable, "-c", BARE, str(port)], cwd=folder) as process:
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()


async def post(session: aiohttp.ClientSession, url: str, size: int) -> float:
    """Seconds for a plain POST of as many bytes."""
    body = os.urandom(size)
    began = time.perf_counter()
    async with session.post(url, data=body) as answer:
        await answer.read()
    return time.perf_counter() - began


@contextlib.contextmanager
def programs(folder: Path) -> Iterator[tuple[Cloud, list[Station], Owner]]:
    """A cloud, and a station for each door that is claimed and operational."""
    cloud = Cloud(folder)
    settle = {"sources.settle_seconds": str(SETTLE_S)}
    stations = [Station(folder, cloud, f"station{number}", **settle) for number in range(DOORS)]
    try:
        cloud.start()
        owner = Owner(cloud.url(), cloud.account())
        for station in stations:
            station.start()
            station.wait_for("setup")
            go_online(station)
            claim(station, owner, station.data.name)
        yield cloud, stations, owner
    finally:
        for program in (*stations, cloud):
            program.stop()


async def measure(folder: Path, events: int, size: int) -> dict[str, list[float]]:
    """Seconds by door, and of the peer."""
    times: dict[str, list[float]] = {}
    with programs(folder) as (cloud, stations, owner), bare_server(folder) as url:
        async with (
            aiohttp.ClientSession() as session,
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(stations[0].data / "run/ingest.sock"))
            ) as local,
            told(owner, cloud, session) as news,
        ):
            by_socket, by_spool, alone = (Doors(station, local) for station in stations)
            steps: dict[str, Callable[[], Awaitable[float]]] = {
                "plain POST to a bare aiohttp server": lambda: post(session, url, size),
                "socket": lambda: until_complete(by_socket.socket, news, size),
                "spool, by the contract": lambda: until_complete(by_spool.spool, news, size),
                f"spool, a picture alone (still for {SETTLE_S} s)": lambda: until_complete(
                    alone.alone, news, size
                ),
            }
            await asyncio.to_thread(eventually, lambda: _listens(url), "the bare server listens")
            turns = [name for name in steps for _ in range(events + 1)]
            random.shuffle(turns)
            for name in turns:
                times.setdefault(name, []).append(await steps[name]())
                await asyncio.sleep(random.uniform(0, BETWEEN_S))
    return {name: times[name][1:] for name in steps}  # the first of each opens the connections


def _listens(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, data=b"", timeout=2):
            return True
    except OSError:
        return False


def table(times: dict[str, list[float]]) -> list[str]:
    """One line a door."""
    plain = percentile(next(iter(times.values())), 50)
    rows = []
    for name, taken in times.items():
        half, most = (percentile(taken, percent) for percent in (50, 95))
        rows.append((name, str(len(taken)), number(half * 1000), number(most * 1000), number(half / plain)))
    return markdown(("from the drop to complete", "events", "p50 ms", "p95 ms", "of the plain POST"), rows)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20, help="events by each door (20)")
    parser.add_argument("--bytes", type=int, default=2_000_000, help="size of the file (2 000 000)")
    arguments, _ = parser.parse_known_args()
    folder = Path(tempfile.mkdtemp(prefix="met-"))  # short, because of Unix sockets
    try:
        print("\n".join(table(asyncio.run(measure(folder, arguments.events, arguments.bytes)))))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
