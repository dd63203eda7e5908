"""Releases from a web server, and the look at a station through its doors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from appliance.commandline.show import _update
from appliance.control import Control, describe, serve
from appliance.station import Station
from appliance.updates.look import look
from appliance.updates.web import WebSource
from firmware.update.book import State
from firmware.update.jobs import Job, keep_job
from firmware.update.reasons import Refused, because
from tests.appliance.fakes import FakeCloud
from tests.appliance.workshop import station


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[TestServer]:
    (tmp_path / "file").write_bytes(b"0123456789")

    async def whole(_request: web.Request) -> web.Response:
        return web.Response(body=b"0123456789")

    app = web.Application()
    app.add_routes([web.get("/no-ranges/file", whole), web.static("/updates", tmp_path)])
    running = TestServer(app)
    await running.start_server()
    yield running
    await running.close()


@pytest.mark.parametrize("folder", ["updates", "no-ranges"])
async def test_a_download_goes_on_from_its_place_with_or_without_ranges(
    server: TestServer, folder: str
) -> None:
    source = WebSource(str(server.make_url(f"/{folder}/")))
    assert await asyncio.to_thread(lambda: b"".join(source.stream("file", 4))) == b"456789"
    assert await asyncio.to_thread(source.read, "file", 10) == b"0123456789"


async def test_what_is_not_there_or_too_long_or_away_is_told(server: TestServer) -> None:
    source = WebSource(str(server.make_url("/updates")))
    assert await asyncio.to_thread(source.read, "none", 10) is None
    for asked, code in ((source, "UPD-003"), (WebSource("http://127.0.0.1:1"), "UPD-001")):
        with pytest.raises(Refused) as caught:
            await asyncio.to_thread(asked.read, "file", 9)
        assert caught.value.reason.code == code


async def test_a_running_station_is_seen_through_its_doors(tmp_path: Path, cloud: FakeCloud) -> None:
    async with station(tmp_path, cloud.url) as made:
        await made.device.network.start()
        path = tmp_path / "c.sock"
        runner = await serve(control(made).app(), path, 0o600)
        first, second = [await asyncio.to_thread(look, path, ("127.0.0.1", 1), alive=True) for _ in range(2)]
        assert (first.alive, first.control, first.portal) == (True, True, False)
        assert (first.buffer, first.migrated, first.cloud) == (True, True, False)
        assert first.ticks != second.ticks
        await runner.cleanup()
        gone = await asyncio.to_thread(look, path, ("127.0.0.1", 1), alive=False)
        assert not (gone.alive or gone.control or gone.buffer)


def control(made: Station) -> Control:
    return Control(made.front, made.device.client.url, made.start_over)


async def test_status_tells_the_update_of_another_process(tmp_path: Path, cloud: FakeCloud) -> None:
    async with station(tmp_path, cloud.url) as made:
        made.paths.updates.mkdir()
        keep_job(
            made.paths.updates,
            Job(id="7", version="1.1.0", state=State.AVAILABLE, reason=because("UPD-011", percentage="5")),
        )
        await made.board.gather()
        told = describe(made.board.snapshot())["update"]
    assert (told["version"], told["code"], told["job"]) == ("1.1.0", "UPD-011", "7")
    assert told["reason"] == "The update goes to 5 % of all stations so far."
    (line,) = _update({"update": told})
    assert line.startswith("update       1.1.0: An update is there. (0 %) The update goes to 5 %")
