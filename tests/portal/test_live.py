"""The status for programs and for open pages: the same truth, at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from portal.context import CONTEXT
from portal.fakes import IN_SETUP, NOON, RUNNING, WAITING_FOR_CLAIM, FakeStation
from portal.server import create_app, serving
from portal.settings import PortalSettings
from portal.view import Attempt, Breaker, NetworkInfo, Sentence
from tests.portal.phone import Phone


@asynccontextmanager
async def stream(address: str, language: str = "en") -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    timeout = aiohttp.ClientTimeout(total=20)
    headers = {"Accept-Language": language}
    async with (
        aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
        session.get(address + "/events") as response,
    ):
        assert response.headers["Content-Type"].startswith("text/event-stream")
        yield _events(response)


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in response.content:
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


async def test_the_stream_tells_the_state_now_and_after_each_change(
    address: str, station: FakeStation
) -> None:
    async with stream(address) as events:
        assert (await anext(events))["facts"]["state"] == "setup"
        await station.show(RUNNING)
        news = await anext(events)
        assert (news["page"], news["shown"]["title"]) == ("/status", "Running")


async def test_several_listeners_hear_the_same(address: str, station: FakeStation) -> None:
    async with stream(address) as first, stream(address, "en-XA") as second:
        await anext(first)
        await anext(second)
        await station.show(RUNNING)
        assert (await anext(first))["shown"]["title"] == "Running"
        assert (await anext(second))["shown"]["title"].startswith("[Rúññíñg")


async def test_a_quiet_stream_repeats_itself_so_that_silence_means_a_dead_link(address: str) -> None:
    async with stream(address) as events:
        assert await anext(events) == await anext(events)


async def test_there_is_a_limit_to_open_streams(station: FakeStation) -> None:
    app = create_app(station, settings=PortalSettings(max_streams=1))
    async with serving(app, "127.0.0.1", 0) as address, stream(address) as events:
        await anext(events)
        async with aiohttp.ClientSession() as session, session.get(address + "/events") as second:
            assert second.status == 503


async def test_a_listener_that_goes_away_frees_its_place_without_noise(
    station: FakeStation, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(station, settings=PortalSettings(max_streams=1))
    async with serving(app, "127.0.0.1", 0) as address:
        async with stream(address) as events:
            await anext(events)
        await station.show(RUNNING)
        async with asyncio.timeout(30), app[CONTEXT].streams:
            pass  # the place is free again
        async with stream(address) as events:
            assert (await anext(events))["facts"]["state"] == "operational"
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_open_streams_do_not_hold_up_the_end(station: FakeStation) -> None:
    async with aiohttp.ClientSession() as session:
        async with serving(create_app(station), "127.0.0.1", 0) as address:
            response = await session.get(address + "/events")
            await response.content.readline()
        await response.content.read()
        assert response.content.at_eof()


async def test_pages_still_work_when_the_station_s_changes_break(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(FakeStation):
        async def changes(self) -> AsyncIterator[Any]:
            raise RuntimeError("no more news")
            yield

    async with (
        serving(create_app(Broken(RUNNING)), "127.0.0.1", 0) as address,
        Phone(address) as phone,
    ):
        assert (await phone.open("/status")).status == 200
        assert (await phone.open("/api/status")).status == 200
    assert "pages poll from now on" in caplog.text


async def test_the_status_for_programs_has_numbers_and_the_page_has_words(
    phone: Phone, station: FakeStation
) -> None:
    await station.show(RUNNING, breaker=Breaker("open", Sentence("HTTP %(status)s", {"status": "503"}), 40.0))
    told = json.loads((await phone.open("/api/status")).html)
    assert told["facts"]["backlog"]["waiting"][0] == {
        "priority": "high",
        "count": 3,
        "size": 6_400_000,
        "oldest": 95.0,
    }
    assert told["facts"]["breaker"]["reason"] == "HTTP 503"
    assert told["facts"]["uploads"]["last"] == (NOON - timedelta(minutes=2)).isoformat()
    page = await phone.open("/status")
    for text in ("52 messages, 6.5 MB", "next try in \u206840 s\u2069", "HTTP \u2068503\u2069", "2 min ago"):
        assert text.replace("2 min ago", "\u20682 min\u2069 ago") in page.text
    assert told["shown"]["answers"]["waiting"]["text"] == "52 messages, 6.5 MB"


async def test_the_last_try_is_told_with_the_name_in_hex(phone: Phone, station: FakeStation) -> None:
    attempt = Attempt(b"\xff", False, "NET-003", Sentence("no"), Sentence("again"), NOON)
    await station.show(IN_SETUP, attempt=attempt)
    told = json.loads((await phone.open("/api/status")).html)
    assert told["facts"]["attempt"]["ssid"] == "ff"


async def test_the_revision_changes_when_a_waiting_page_should_be_loaded_anew(
    phone: Phone, station: FakeStation
) -> None:
    async def revision() -> str:
        return str(json.loads((await phone.open("/api/status")).html)["revision"])

    seen = [await revision()]
    assert await revision() == seen[0]
    card = station.snapshot().card
    assert card is not None
    for snapshot in (WAITING_FOR_CLAIM, RUNNING):
        await station.show(snapshot)
        seen.append(await revision())
    await station.show(WAITING_FOR_CLAIM, network=NetworkInfo())
    seen.append(await revision())
    assert len(set(seen)) == len(seen)


async def test_the_health_check_names_state_and_version(phone: Phone) -> None:
    told = json.loads((await phone.open("/health")).html)
    assert told == {"status": "ok", "state": "setup", "version": "0.1.0"}
