"""Rubbish on the WebSocket, of pages and of stations: it ends with a documented code, and for nobody else."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping

import pytest

from cloud.realtime import gateway, stations
from protocol.limits import MAX_WS_FRAME_BYTES
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.station_client import Station
from tests.cloud.test_station_socket import PATH, with_token
from tests.fuzz.frames import PING, TEXT, Line, bad, frame
from tests.fuzz.rubbish import FRAMES, SEED
from tests.fuzz.test_signed_messages import unwell

pytestmark = pytest.mark.usefixtures("unlimited")

OF_WEBSOCKET = {1000, 1002, 1007, 1009}
"""An end that the client asked for; what is no frame at all; text that is none; more than 64 KiB."""
OF_PAGES = OF_WEBSOCKET | {gateway.BAD_FRAME, gateway.TOO_MANY_FRAMES}
OF_STATIONS = OF_WEBSOCKET | {stations.BAD_FRAME, stations.TOO_MANY, stations.NO_TOKEN, stations.TIMED_OUT}
FLOOD = 20_000
TOO_LARGE, CUT = 1009, 1006
"""TCP takes the last word back from a client that goes on sending what nobody reads any more."""

Opener = Callable[[], Awaitable[Line]]


def of_page(cloud: Cloud, person: Person) -> Opener:
    headers = {"Cookie": person.headers["Cookie"], "Origin": cloud.base}
    return lambda: Line.open(cloud.settings.port, headers)


def of_station(cloud: Cloud, station: Station, token: str = "") -> Opener:
    async def opened() -> Line:
        headers: Mapping[str, str] = station.signed("GET", PATH)
        line = await Line.open(cloud.settings.port, headers)
        if token:
            line.writer.write(frame(TEXT, auth(token)))
            assert b"authenticated" in (await line.receive())[1]
        return line

    return opened


def auth(token: str) -> bytes:
    return json.dumps(
        {"event": "auth", "id": 1, "data": {"token": token}, "ts": "2026-01-01T00:00:00Z"}
    ).encode()


async def codes_after(opened: Opener, good: bytes, name: str) -> set[int]:
    """The codes with which lines ended that sent one bad frame."""
    dice, found = random.Random(f"{SEED} {name}"), set[int]()
    for number in range(FRAMES):
        line = await opened()
        sent = bad(good, dice)
        if await line.ends([sent], str(number).encode()):
            cut = line.close_code == CUT and len(sent) > MAX_WS_FRAME_BYTES
            found.add(TOO_LARGE if cut else line.close_code)
        line.drop()
    return found


async def nobody_listens(cloud: Cloud) -> None:
    async with asyncio.timeout(60):
        while cloud.bus.listening():  # noqa: ASYNC110 - the bus tells nobody who stops listening
            await asyncio.sleep(0.02)


async def test_what_a_page_sends_ends_with_a_documented_code(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    opened = of_page(cloud, await cloud.person())
    caplog.clear()
    good = json.dumps({"event": "hello", "id": 7, "data": {"a": {"b": [1]}}, "ts": ""}).encode()
    assert await codes_after(opened, good, "page") <= OF_PAGES
    await nobody_listens(cloud)
    unwell(caplog)
    line = await opened()
    assert not await line.ends([frame(TEXT, good)], b"still here")
    line.drop()


async def test_what_a_station_sends_instead_of_its_token_ends_with_a_documented_code(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    station, token = await with_token(cloud, await cloud.person())
    caplog.clear()
    assert await codes_after(of_station(cloud, station), auth(token), "token") <= OF_STATIONS
    unwell(caplog)
    (await of_station(cloud, station, token)()).drop()


async def test_what_a_station_sends_after_its_token_ends_with_a_documented_code(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    station, token = await with_token(cloud, await cloud.person())
    opened = of_station(cloud, station, token)
    caplog.clear()
    good = json.dumps({"event": "ping", "id": 7, "data": {"a": {"b": [1]}}}).encode()
    assert await codes_after(opened, good, "station") <= OF_STATIONS
    unwell(caplog)
    line = await opened()
    assert not await line.ends([frame(TEXT, good)], b"still here")
    line.drop()


async def test_a_flood_of_pings_disturbs_nobody_else(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    ada, eve = await cloud.person(), await cloud.person()
    caplog.clear()
    flooding, calm = await of_page(cloud, eve)(), await of_page(cloud, ada)()
    sending = asyncio.create_task(flooding.ends([frame(PING, b"x")] * FLOOD, b"the last"))
    assert not await calm.ends([], b"calm")
    assert await sending in (True, False)
    assert flooding.close_code in {0, *OF_PAGES}
    flooding.drop()
    calm.drop()
    await nobody_listens(cloud)
    unwell(caplog)
