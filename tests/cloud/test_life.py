"""The whole life of a station over HTTP, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cloud.security import audit
from cloud.security.vault import Secrets
from protocol.event import BatchAnswer, EventBatch
from protocol.messages import ClaimPending
from tests.cloud.cloud_server import Cloud, running_cloud
from tests.cloud.people_parts import Clock

pytestmark = pytest.mark.usefixtures("no_blocking")


@pytest.fixture
async def cloud(
    tmp_path: Path, secrets: Secrets, moved_clock: Clock, database_url: str
) -> AsyncIterator[Cloud]:
    async with running_cloud(tmp_path / "cloud", secrets, moved_clock, database_url) as running:
        yield running


async def test_from_the_card_to_the_picture(cloud: Cloud) -> None:
    ada, station, picture = await cloud.person(), cloud.station(), os.urandom(200_000)
    missed = await ada.named(short_id=station.short_id, pin="000000" if station.pin != "000000" else "1" * 6)
    claim_id = (await station.claim_with_card()).read(ClaimPending).claim_id
    assert (await ada.claim_status(missed))["error"] == "wrong_code"
    assert await ada.named(short_id=station.short_id, link_secret=station.link_secret) == claim_id
    await station.finish(claim_id)
    assert (await station.beaten("activating")).device_name == f"Station {station.short_id}"
    await ada.send("PATCH", station.place, {"name": "Roof"})
    await ada.send("POST", f"{station.place}/commands", {"type": "restart", "parameters": {"x": None}})
    answer = await station.beaten("operational", config_version=1)
    assert answer.config_updates is not None
    assert (answer.device_name, answer.config_updates.version, len(answer.commands)) == ("Roof", 2, 1)
    events = [station.event(picture, metadata={"n": number, "text": "\u2603"}) for number in range(30)]
    batch = EventBatch(events=[msgspec.Raw(msgspec.json.encode(event)) for event in events])
    body = msgspec.json.encode(batch)
    replies = await asyncio.gather(station.report(body), station.report(body))
    received = [each for reply in replies for each in reply.read(BatchAnswer).results]
    assert sorted(each.duplicate for each in received) == [False] * 30 + [True] * 30
    await station.upload(picture, piece=90_000)
    listed = (await ada.send("GET", "/v1/devices")).read(dict[str, Any])["devices"]
    assert [(each["name"], each["tone"], each["online"]) for each in listed] == [("Roof", "running", True)]
    assert listed[0]["last_event"]["media"][0]["stored"]
    page = (await ada.send("GET", f"{station.place}/events?limit=30")).read(dict[str, Any])
    assert (len(page["events"]), page["next_before"]) == (30, None)
    got = await ada.send("GET", f"{station.place}/media/{events[0].media[0].sha256}")
    assert got.body == picture
    assert await cloud.database.read(audit.first_broken) is None


async def test_many_stations_at_once(cloud: Cloud) -> None:
    """Claims, heartbeats and events of twelve stations interleaved: each gets what is its own."""

    async def life() -> str:
        ada = await cloud.person()
        station = await cloud.claimed(ada)
        event = station.event()
        await asyncio.gather(station.beaten(), station.reported(event))
        (mine,) = (await ada.send("GET", "/v1/devices")).read(dict[str, Any])["devices"]
        assert (mine["id"], mine["last_event"]["event_id"]) == (station.device_id, event.event_id)
        return station.device_id

    assert len(set(await asyncio.gather(*(life() for _ in range(12))))) == 12
    assert await cloud.database.read(audit.first_broken) is None
