"""What has no end, at a cloud in its own process: packed bodies, endless ones, floods. It does not grow."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator

import aiohttp
import psutil
import pytest

from cloud.api.stations import MAX_BATCH_BYTES
from protocol.limits import MAX_CHUNK_BYTES
from tests.cloud import people_client
from tests.cloud.cloud_process import CloudProcess
from tests.cloud.cloud_server import Person
from tests.cloud.station_client import Station
from tests.cloud.test_station_socket import PATH
from tests.fuzz.frames import PING, TEXT, Line, frame
from tests.fuzz.wire import Wire

pytestmark = pytest.mark.e2e

ABREAST = 8
MAY_GROW = ABREAST * 3 * MAX_BATCH_BYTES
"""Bytes: so many bodies within their limit, as they came, in one piece, and unpacked. The rest is 8 GiB."""
ENDLESS = 64 << 20
"""So much of a body that says no length is offered; the limits lie far below."""


@pytest.fixture
async def station(process: CloudProcess, session: aiohttp.ClientSession) -> Station:
    email, password = process.demo()
    csrf = await people_client.sign_in(session, process.base, email, password)
    ada = Person("", process.base, session, {"X-CSRF-Token": csrf, "Origin": process.base})
    made = Station(session, process.base, time.time)
    made.take(await made.claim_with_token((await ada.token())["claim_token"]))
    return made


@pytest.fixture
async def unharmed(process: CloudProcess, station: Station) -> AsyncIterator[None]:
    """Around a test: the process has not grown, says no word of a failure, and takes the next message."""
    assert process.process is not None
    watched = psutil.Process(process.process.pid)
    await station.beaten()
    before = watched.memory_info().rss
    most = 0
    done = asyncio.Event()

    async def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, watched.memory_info().rss)
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    yield
    done.set()
    await watching
    await station.beaten()
    assert most - before < MAY_GROW, f"{(most - before) >> 20} MiB"
    assert "Traceback" not in process.log.read_text()


def bomb(size: int = MAX_CHUNK_BYTES) -> bytes:
    """Packed zeros, a thousand times as large unpacked."""
    block = gzip.compress(bytes(1 << 24), 9)
    return block * (size // len(block))


@pytest.mark.usefixtures("unharmed")
async def test_a_body_that_is_packed_a_thousandfold_is_refused_before_it_is_unpacked(
    station: Station,
) -> None:
    packed = gzip.compress(bytes(1 << 30), 9)
    for body in (packed, bomb()):
        headers = {"Content-Encoding": "gzip"}
        replies = await asyncio.gather(
            *(station.send("POST", f"{station.place}/events", body, headers) for _ in range(ABREAST))
        )
        assert {reply.status for reply in replies} <= {413, 422, 429}
        assert 413 in {reply.status for reply in replies}


async def endless(process: CloudProcess, path: str, *headers: str) -> int | None:
    """Sends a body that never ends; the status of the answer, None when the connection was just ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    lines = "".join(f"{line}\r\n" for line in ("Host: x", "Transfer-Encoding: chunked", *headers))
    writer.write(f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode())
    piece = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    sent = 0
    try:
        while sent < ENDLESS and not writer.is_closing():
            writer.write(piece)
            sent += len(piece)
            async with asyncio.timeout(5):
                await writer.drain()
    except (ConnectionError, TimeoutError):
        pass
    try:
        async with asyncio.timeout(30):
            head = await reader.readuntil(b"\r\n")
        return int(head.split()[1])
    except (ConnectionError, asyncio.IncompleteReadError):
        return None
    finally:
        writer.transport.abort()


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("path", ["/v1/devices/claim", "/v1/devices/events", "/sign-in"])
async def test_a_body_without_end_is_cut_at_its_limit(process: CloudProcess, path: str) -> None:
    headers = ("Content-Type: application/x-www-form-urlencoded", f"Origin: {process.base}")
    statuses = await asyncio.gather(*(endless(process, path, *headers) for _ in range(ABREAST)))
    assert set(statuses) <= {413, None}


@pytest.mark.usefixtures("unharmed")
async def test_heads_without_end_are_refused(process: CloudProcess) -> None:
    wire = Wire(process.port)
    for name, value in (("x-long", b"x" * 100_000), ("x" * 100_000, b"x"), ("cookie", b"a=b; " * 20_000)):
        reply = await wire.ask("GET", "/health", [("host", b"x"), (name, value)], b"")
        assert reply.status == 400
    assert (await wire.ask("GET", "/" + "x" * 100_000, [("host", b"x")], b"")).status == 400
    await wire.close()


@pytest.mark.usefixtures("unharmed")
async def test_frames_and_pings_that_nobody_reads_the_answers_of_do_not_pile_up(
    process: CloudProcess, station: Station
) -> None:
    token = (await station.send("POST", f"{station.place}/token")).read(dict[str, str | int])["device_token"]
    line = await Line.open(process.port, station.signed("GET", PATH))
    line.writer.write(frame(TEXT, b'{"event":"auth","data":{"token":"%s"}}' % str(token).encode()))
    flood = frame(PING, b"x" * 125) * 500
    try:
        for _ in range(600):
            line.writer.write(flood)
            async with asyncio.timeout(5):
                await line.writer.drain()
    except (ConnectionError, TimeoutError):
        pass  # it stopped reading, as it should
    line.drop()
