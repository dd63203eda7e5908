"""A station that asks whether its events and files were kept gets the truth of the disk."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import pytest
from sqlalchemy import delete

from cloud.store import schema
from protocol.event import KeptAnswer, KeptRequest
from protocol.limits import DEVICE_QUESTIONS, MAX_KEPT_QUESTIONS
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.station_client import Reply, Station

pytestmark = pytest.mark.usefixtures("no_blocking")

FILE = os.urandom(100_000)
SHA = hashlib.sha256(FILE).hexdigest()
UNKNOWN = "0190b3a8-0000-7000-8000-000000000000"


@pytest.fixture
async def ada(cloud: Cloud) -> Person:
    return await cloud.person()


@pytest.fixture
async def station(cloud: Cloud, ada: Person) -> Station:
    return await cloud.claimed(ada)


async def ask(station: Station, **question: Any) -> Reply:
    return await station.send("POST", f"{station.place}/events/kept", KeptRequest(**question))


async def missing(station: Station, **question: Any) -> tuple[list[str], list[str]]:
    reply = await ask(station, **question)
    assert reply.status == 200, reply
    answer = reply.read(KeptAnswer)
    return answer.missing_events, answer.missing_media


async def test_what_is_here_is_not_missing_and_the_rest_is(station: Station) -> None:
    event = station.event(FILE)
    await station.reported(event)
    assert await missing(station, events=[event.event_id, UNKNOWN], media=[SHA]) == ([UNKNOWN], [SHA])
    await station.upload(FILE)
    assert await missing(station, events=[event.event_id], media=[SHA]) == ([], [])


async def test_an_event_that_a_restored_database_does_not_have_is_missing(
    cloud: Cloud, station: Station
) -> None:
    event = station.event()
    await station.reported(event)
    await cloud.database.write(lambda c: c.execute(delete(schema.event)).close())
    assert await missing(station, events=[event.event_id]) == ([event.event_id], [])
    assert not (await station.reported(event)).duplicate


@pytest.mark.parametrize("damage", ["gone", "short"])
async def test_a_file_that_is_not_whole_on_the_disk_is_missing_and_can_be_sent_anew(
    cloud: Cloud, station: Station, ada: Person, damage: str
) -> None:
    await station.reported(station.event(FILE))
    await station.upload(FILE)
    path = cloud.settings.media / station.device_id / SHA[:2] / SHA
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(FILE[:1000])
    assert await missing(station, media=[SHA]) == ([], [SHA])
    await station.upload(FILE)
    assert await missing(station, media=[SHA]) == ([], [])
    assert (await ada.send("GET", f"{station.place}/media/{SHA}")).body == FILE


async def test_an_observation_known_under_another_id_names_the_one_to_ask_for(station: Station) -> None:
    first = station.event(client_event_id="the same")
    await station.reported(first)
    second = station.event(client_event_id="the same", timestamp=first.timestamp)
    assert second.event_id != first.event_id
    answer = await station.reported(second)
    assert (answer.duplicate, answer.kept_as) == (True, first.event_id)
    assert (await station.reported(first)).kept_as is None
    assert await missing(station, events=[first.event_id]) == ([], [])


async def test_what_another_station_has_is_missing_here(cloud: Cloud, station: Station, ada: Person) -> None:
    other = await cloud.claimed(ada)
    event = other.event(FILE)
    await other.reported(event)
    await other.upload(FILE)
    assert await missing(station, events=[event.event_id], media=[SHA]) == ([event.event_id], [SHA])


async def test_a_question_has_its_limits(station: Station) -> None:
    too_many = await ask(station, events=[UNKNOWN] * (MAX_KEPT_QUESTIONS + 1))
    assert (too_many.status, too_many.problem.field) == (422, "$.events")
    for _ in range(DEVICE_QUESTIONS.burst):
        reply = await ask(station)
    assert reply.status in (200, 429)
    assert (await ask(station)).status == 429
