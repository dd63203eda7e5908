"""Events arrive exactly once, alone and in batches, and only as their station's."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select

from cloud.store import schema
from protocol.compression import pack
from protocol.event import BatchAnswer, EventAnswer, EventBatch
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.station_client import Reply, Station

pytestmark = pytest.mark.usefixtures("no_blocking")


@pytest.fixture
async def ada(cloud: Cloud) -> Person:
    return await cloud.person()


@pytest.fixture
async def station(cloud: Cloud, ada: Person) -> Station:
    return await cloud.claimed(ada)


async def count(cloud: Cloud) -> int:
    query = select(func.count()).select_from(schema.event)
    return int(await cloud.database.read(lambda connection: connection.execute(query).scalar_one()))


async def test_an_event_is_received_once_and_its_repeat_is_a_duplicate(
    cloud: Cloud, station: Station
) -> None:
    event = station.event()
    first, again = await station.report(event), await station.report(event)
    assert (first.status, again.status) == (201, 200)
    one, other = first.read(EventAnswer), again.read(EventAnswer)
    assert (one.status, one.duplicate, other.duplicate) == ("received", False, True)
    assert one.event_id == other.event_id == event.event_id
    assert await count(cloud) == 1


async def test_the_same_event_a_hundred_times_at_once_is_one_row(cloud: Cloud, station: Station) -> None:
    event = station.event()
    replies = await asyncio.gather(*(station.report(event) for _ in range(60)))
    assert sorted({reply.status for reply in replies}) == [200, 201]
    assert [reply.status for reply in replies].count(201) == 1
    assert await count(cloud) == 1


async def test_other_bytes_under_the_same_id_are_refused(cloud: Cloud, station: Station) -> None:
    event = station.event()
    await station.reported(event)
    reply = await station.report(msgspec.structs.replace(event, confidence=0.5))
    assert (reply.status, reply.problem.code, reply.reason) == (422, "REG-007", "conflicting_event")
    assert reply.problem.field == "$.event_id"
    assert await count(cloud) == 1


async def test_the_same_observation_under_a_new_id_is_a_duplicate(cloud: Cloud, station: Station) -> None:
    event = station.event(client_event_id="night/1", confidence=0.5)
    await station.reported(event)
    twin = station.event(client_event_id="night/1", confidence=0.5, device_seq=9)
    assert (await station.reported(twin)).duplicate
    other = await station.report(station.event(client_event_id="night/1", confidence=0.9))
    assert (other.status, other.problem.field) == (422, "$.client_event_id")
    revised = await station.report(station.event(client_event_id="night/1", confidence=0.9, revision=2))
    assert revised.status == 201
    assert await count(cloud) == 2


async def test_two_stations_may_use_the_same_names(cloud: Cloud, station: Station, ada: Person) -> None:
    event, other = station.event(client_event_id="night/1"), await cloud.claimed(ada)
    assert (await station.report(event)).status == 201
    assert (await other.report(event)).status == 201


async def test_a_batch_is_answered_item_by_item_in_order(cloud: Cloud, station: Station) -> None:
    known, new = station.event(), station.event()
    await station.reported(known)
    bodies = [
        msgspec.json.encode(known),
        b'{"event_id":"nonsense"}',
        msgspec.json.encode(new),
        msgspec.json.encode(msgspec.structs.replace(known, confidence=0.1)),
        msgspec.json.encode(new),
    ]
    batch = EventBatch(events=[msgspec.Raw(body) for body in bodies])
    reply = await station.report(msgspec.json.encode(batch))
    assert reply.status == 200
    results = reply.read(BatchAnswer).results
    shown = [(each.event_id, each.status, each.duplicate, each.reason) for each in results]
    assert shown == [
        (known.event_id, "received", True, None),
        ("nonsense", "rejected", False, "invalid"),
        (new.event_id, "received", False, None),
        (known.event_id, "rejected", False, "conflicting_event"),
        (new.event_id, "received", True, None),
    ]
    assert await count(cloud) == 2


async def test_a_batch_hashes_the_exact_bytes_of_each_event(cloud: Cloud, station: Station) -> None:
    event = station.event()
    spaced = msgspec.json.format(msgspec.json.encode(event), indent=2)
    reply = await station.report(b'{ "events" : [ ' + spaced + b" ] }")
    assert not reply.read(BatchAnswer).results[0].duplicate
    assert (await station.report(spaced)).read(EventAnswer).duplicate
    query = select(schema.event.c.body, schema.event.c.body_sha256)
    row = await cloud.database.read(lambda connection: connection.execute(query).one())
    assert row.body == spaced
    assert row.body_sha256 == hashlib.sha256(spaced).hexdigest()


@pytest.mark.parametrize(("number", "status"), [(0, 422), (100, 200), (101, 422)])
async def test_a_batch_has_one_to_a_hundred_events(station: Station, number: int, status: int) -> None:
    events = [msgspec.Raw(msgspec.json.encode(station.event())) for _ in range(number)]
    reply = await station.report(msgspec.json.encode(EventBatch(events=events)))
    assert reply.status == status
    if status == 422:
        assert reply.problem.field == "$.events"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"event_id": "x"}, "$.event_id"),
        ({"event_id": None}, "$.event_id"),
        ({"event_type": "Meteor!"}, "$.event_type"),
        ({"timestamp": "yesterday"}, "$.timestamp"),
        ({"timestamp": "2026-01-01T00:00:00"}, "$.timestamp"),
        ({"confidence": 2}, "$.confidence"),
        ({"revision": 0}, "$.revision"),
        ({"unknown": 1}, "$.unknown"),
        ({"media": [{"name": "a/b", "mime": "image/png", "sha256": "0" * 64, "size": 1}]}, "$.media[0].name"),
        ({"media": [{"name": "a", "mime": "image/png", "sha256": "0", "size": 1}]}, "$.media[0].sha256"),
        ({"media_files": [f"sha256:{'0' * 64}:5:nonsense"]}, "$.media_files"),
        ({"client_event_id": "a\u0000b"}, "$"),
        ({"device_id": "dev_" + "0" * 26}, "$.device_id"),
    ],
)
async def test_a_wrong_event_is_refused_with_its_field(
    cloud: Cloud, station: Station, change: dict[str, Any], field: str
) -> None:
    event = msgspec.to_builtins(station.event()) | change
    reply = await station.report(msgspec.json.encode(event))
    assert (reply.status, reply.problem.code, reply.problem.field) == (422, "REG-007", field)
    assert await count(cloud) == 0


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"null", b"\xff", b"[" * 50_000, b'{"events":{}}', b'"\\ud800"']
)
async def test_what_is_no_event_at_all_is_refused(station: Station, body: bytes) -> None:
    reply = await station.report(body)
    assert (reply.status, reply.problem.code) == (422, "REG-007")


async def test_an_event_has_at_most_64_kib(station: Station) -> None:
    reply = await station.report(station.event(metadata={"x": "y" * 70_000}))
    assert (reply.status, reply.problem.code) == (413, "REG-007")


async def test_the_idempotency_key_is_the_events_id(station: Station) -> None:
    event = station.event()
    reply = await station.report(event, headers={"Idempotency-Key": station.event().event_id})
    assert (reply.status, reply.problem.field) == (422, "$.event_id")
    reply = await station.report(event, headers={"Idempotency-Key": event.event_id})
    assert reply.status in (200, 201)


async def test_the_answer_lists_the_files_that_are_missing(cloud: Cloud, station: Station) -> None:
    known, new = b"known", b"new"
    await station.reported(station.event(known))
    await station.upload(known)
    answer = await station.reported(station.event(known, new))
    assert [file.sha256 for file in answer.media_pending] == [hashlib.sha256(new).hexdigest()]
    assert answer.media_pending[0].upload_url == f"{cloud.base}{station.place}/uploads"
    assert answer.media_pending[0].size == len(new)


async def test_files_may_be_named_in_the_short_form(station: Station) -> None:
    event = station.event(media_files=[f"sha256:{'a' * 64}:5:image/png", "only-a-name.jpg"])
    answer = await station.reported(event)
    assert [(file.sha256, file.size) for file in answer.media_pending] == [("a" * 64, 5)]


async def test_the_owner_hears_of_a_new_event_once(cloud: Cloud, station: Station, ada: Person) -> None:
    event = station.event()
    with cloud.bus.subscribe(ada.account_id) as subscription:
        await station.reported(event)
        await station.reported(event)
        await station.beat()
        heard = [await anext(subscription) for _ in range(3)]
    assert [news.event for news in heard] == ["event-received", "device-online", "device-status"]
    assert heard[0].data["event_id"] == event.event_id


async def test_the_owner_reads_events_in_pages_newest_first(station: Station, ada: Person) -> None:
    events = [station.event() for _ in range(5)]
    for event in events:
        await station.reported(event)
    await station.reported(station.event(event_type="station_started"))
    seen: list[str] = []
    query = "?limit=2"
    while query:
        page = (await ada.send("GET", f"{station.place}/events{query}")).read(dict[str, Any])
        seen += [each["event_id"] for each in page["events"] if each["event_type"] == "meteor"]
        query = f"?limit=2&before={page['next_before']}" if page["next_before"] else ""
    assert seen == [event.event_id for event in reversed(events)]
    detail = await ada.send("GET", f"{station.place}/events/{events[0].event_id}")
    assert detail.read(dict[str, Any])["body"]["client_event_id"] == events[0].client_event_id


@pytest.mark.parametrize("query", ["limit=x", "before=-1", "before=99999999999999999"])
async def test_a_page_that_cannot_be_is_refused(station: Station, ada: Person, query: str) -> None:
    reply = await ada.send("GET", f"{station.place}/events?{query}")
    assert (reply.status, reply.problem.code) == (422, "REG-007")


# --- packed bodies ------------------------------------------------------------------------------------------


async def packed(station: Station, body: bytes, coding: str = "gzip") -> Reply:
    return await station.send("POST", f"{station.place}/events", body, {"content-encoding": coding})


async def test_a_batch_may_come_packed(cloud: Cloud, station: Station) -> None:
    batch = EventBatch(events=[msgspec.Raw(msgspec.json.encode(station.event())) for _ in range(20)])
    reply = await packed(station, pack(msgspec.json.encode(batch)))
    assert [each.status for each in reply.read(BatchAnswer).results] == ["received"] * 20
    assert await count(cloud) == 20


async def test_an_event_has_the_same_hash_packed_and_plain(cloud: Cloud, station: Station) -> None:
    body = msgspec.json.encode(station.event())
    assert (await packed(station, pack(body))).status == 201
    again = await station.send("POST", f"{station.place}/events", body)
    assert again.read(EventAnswer).duplicate


BOMB = pack(b" " * (64 << 20))

BAD_PACKETS: list[tuple[str, bytes, str, int, str | None]] = [
    ("a bomb", BOMB, "gzip", 413, None),
    ("no gzip", b"{}", "gzip", 422, "REG-007"),
    ("cut off", pack(b"{}" * 1000)[:-9], "gzip", 422, "REG-007"),
    ("something behind it", pack(b"{}") + b"x", "gzip", 422, "REG-007"),
    ("two members", pack(b"{}") * 2, "gzip", 422, "REG-007"),
    ("another coding", b"{}", "br", 415, None),
    ("packed twice", b"{}", "gzip, gzip", 415, None),
]


@pytest.mark.parametrize(
    ("body", "coding", "status", "code"),
    [row[1:] for row in BAD_PACKETS],
    ids=[row[0] for row in BAD_PACKETS],
)
async def test_a_bad_packet_is_refused_and_costs_nothing(
    cloud: Cloud, station: Station, body: bytes, coding: str, status: int, code: str | None
) -> None:
    reply = await packed(station, body, coding)
    assert (reply.status, reply.problem.code) == (status, code)
    assert await count(cloud) == 0


async def test_the_digest_is_that_of_the_packed_bytes(station: Station) -> None:
    body = msgspec.json.encode(station.event())
    path = f"{station.place}/events"
    headers = station.signed("POST", path, body, {"content-encoding": "gzip"})
    reply = await station.raw("POST", path, pack(body), headers)
    assert (reply.status, reply.problem.code) == (401, "REG-004")


async def test_only_events_may_come_packed(station: Station) -> None:
    reply = await station.send(
        "POST", f"{station.place}/heartbeat", pack(b"{}"), {"content-encoding": "gzip"}
    )
    assert reply.status == 415
