"""Files arrive in pieces, survive every cut, and are kept only when they are what they say."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from cloud.keys import MEDIA
from cloud.store import schema
from protocol.codes import ulid
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.station_client import Station

pytestmark = pytest.mark.usefixtures("no_blocking")

FILE = os.urandom(300_000)
SHA = hashlib.sha256(FILE).hexdigest()


@pytest.fixture
async def ada(cloud: Cloud) -> Person:
    return await cloud.person()


@pytest.fixture
async def station(cloud: Cloud, ada: Person) -> Station:
    """A station that has told of FILE."""
    station = await cloud.claimed(ada)
    await station.reported(station.event(FILE))
    return station


async def place(station: Station, file: bytes = FILE) -> str:
    reply = await station.create_upload(file)
    assert reply.status == 201, reply
    return reply.headers["Location"]


def parts(cloud: Cloud) -> list[Path]:
    return list(cloud.settings.media.glob("*/parts/*"))


async def test_a_file_in_pieces_is_the_same_bytes_for_its_owner(
    cloud: Cloud, station: Station, ada: Person
) -> None:
    with cloud.bus.subscribe(ada.account_id) as subscription:
        await station.upload(FILE, piece=70_001)
        news = await anext(subscription)
    assert (news.event, news.data["sha256"]) == ("event-media", SHA)
    reply = await ada.send("GET", f"{station.place}/media/{SHA}")
    assert (reply.status, reply.body) == (200, FILE)
    assert reply.headers["Content-Type"] == "image/jpeg"
    assert reply.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    final = cloud.settings.media / station.device_id / SHA[:2] / SHA
    assert final.stat().st_mode & 0o777 == 0o600
    assert parts(cloud) == []


async def test_a_part_of_a_file_can_be_asked_for(station: Station, ada: Person) -> None:
    await station.upload(FILE)
    reply = await ada.send("GET", f"{station.place}/media/{SHA}", Range="bytes=10-19")
    assert (reply.status, reply.body) == (206, FILE[10:20])


@pytest.mark.parametrize(
    ("mime", "kind"),
    [
        ("image/png", "inline"),
        ("video/mp4", "inline"),
        ("image/svg+xml", "attachment"),
        ("text/html", "attachment"),
    ],
)
async def test_a_browser_opens_only_pictures_and_films(
    cloud: Cloud, ada: Person, mime: str, kind: str
) -> None:
    station, file = await cloud.claimed(ada), b"<script>alert(1)</script>"
    event = station.event(file)
    event.media[0].mime = mime
    event.media[0].name = 'a "b"\u00fc.x'
    await station.reported(event)
    await station.upload(file)
    reply = await ada.send("GET", f"{station.place}/media/{hashlib.sha256(file).hexdigest()}")
    assert reply.headers["Content-Disposition"] == f"{kind}; filename*=UTF-8''a%20%22b%22%C3%BC.x"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


async def test_creation_is_the_same_place_however_often_it_is_asked_for(station: Station) -> None:
    location = await place(station)
    await station.patch(location, 0, FILE[:1000])
    reply = await station.create_upload(FILE)
    assert (reply.status, reply.headers["Location"], reply.headers["Upload-Offset"]) == (
        201,
        location,
        "1000",
    )


async def test_a_file_that_is_there_needs_no_second_upload(cloud: Cloud, station: Station) -> None:
    await station.upload(FILE)
    reply = await station.create_upload(FILE)
    assert (reply.status, reply.headers["Upload-Offset"]) == (201, str(len(FILE)))
    event = station.event(FILE)
    assert (await station.reported(event)).media_pending == []


async def test_an_empty_file_is_complete_at_once(station: Station, ada: Person) -> None:
    await station.reported(station.event(b""))
    reply = await station.create_upload(b"")
    assert reply.status == 201
    got = await ada.send("GET", f"{station.place}/media/{hashlib.sha256(b'').hexdigest()}")
    assert (got.status, got.body) == (200, b"")


async def test_a_piece_at_the_wrong_place_is_refused(station: Station) -> None:
    location = await place(station)
    await station.patch(location, 0, FILE[:1000])
    for offset in (0, 999, 1001, 10**9):
        reply = await station.patch(location, offset, b"x")
        assert (reply.status, reply.reason) == (409, "offset_mismatch")
    assert await station.offset(location) == 1000


async def test_a_damaged_piece_is_refused_and_nothing_of_it_is_kept(station: Station) -> None:
    location = await place(station)
    right = base64.b64encode(hashlib.sha256(FILE[:1000]).digest()).decode()
    reply = await station.patch(location, 0, b"y" * 1000, Upload_Checksum=f"sha256 {right}")
    assert (reply.status, reply.reason) == (460, "checksum_mismatch")
    assert await station.offset(location) == 0
    assert (await station.patch(location, 0, FILE[:1000], Upload_Checksum=f"sha256 {right}")).status == 204
    assert (await station.patch(location, 1000, b"x", Upload_Checksum="crc32 AAAA")).status == 400


async def test_a_file_with_another_hash_is_dropped_with_the_reason(cloud: Cloud, station: Station) -> None:
    location = await place(station)
    reply = await station.patch(location, 0, b"\0" * len(FILE))
    assert (reply.status, reply.problem.code, reply.reason) == (422, "REG-007", "hash_mismatch")
    assert parts(cloud) == []
    assert (await station.send("HEAD", location)).status == 404
    await station.upload(FILE)


async def test_a_piece_beyond_the_end_is_refused(station: Station) -> None:
    location = await place(station)
    reply = await station.patch(location, 0, FILE + b"x")
    assert (reply.status, reply.reason) == (413, "too_large")
    assert await station.offset(location) == 0


async def test_only_files_that_an_event_names_are_taken(station: Station) -> None:
    reply = await station.create_upload(b"unknown")
    assert (reply.status, reply.reason) == (422, "not_named")
    headers = {"Upload-Length": "5", "Upload-Metadata": f"sha256 {base64.b64encode(SHA.encode()).decode()}"}
    reply = await station.send("POST", f"{station.place}/uploads", headers=headers)
    assert (reply.status, reply.problem.field) == (422, "$.upload_length")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Length": "x"}, 400),
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "99999999999"}, 413),
        ({"Upload-Metadata": "sha256 !!"}, 422),
        ({"Upload-Metadata": "sha256 AAAA"}, 422),
        ({"Upload-Metadata": ""}, 422),
        ({"Tus-Resumable": "0.2.1"}, 412),
    ],
)
async def test_a_creation_that_cannot_be_read_is_refused(
    station: Station, headers: dict[str, str], status: int
) -> None:
    encoded = base64.b64encode(SHA.encode()).decode()
    good = {"Upload-Length": str(len(FILE)), "Upload-Metadata": f"sha256 {encoded}", "Tus-Resumable": "1.0.0"}
    assert (await station.send("POST", f"{station.place}/uploads", headers=good | headers)).status == status


async def test_a_piece_must_say_what_it_is(station: Station) -> None:
    location = await place(station)
    reply = await station.send("PATCH", location, b"x", {"Upload-Offset": "0"}, content_type="text/plain")
    assert reply.status == 415
    assert (
        await station.send("PATCH", location, b"x", content_type="application/offset+octet-stream")
    ).status == 400


async def test_the_upload_of_another_station_is_an_unknown_one(
    cloud: Cloud, station: Station, ada: Person
) -> None:
    location, other = await place(station), await cloud.claimed(ada)
    foreign = location.replace(station.device_id, other.device_id)
    unknown = foreign[:-26] + ulid("", 0)
    for path in (foreign, unknown, location):
        reply = await other.patch(path, 0, b"x")
        assert (reply.status, reply.reason) == (404, "not_found")


async def test_bytes_that_were_written_but_never_acknowledged_are_cut_off(
    cloud: Cloud, station: Station
) -> None:
    location = await place(station)
    await station.patch(location, 0, FILE[:1000])
    (part,) = parts(cloud)
    with part.open("ab") as file:
        file.write(b"power failed here")
    assert await station.offset(location) == 1000
    await station.upload(FILE)


async def test_bytes_that_the_disk_lost_are_asked_for_again(cloud: Cloud, station: Station) -> None:
    location = await place(station)
    await station.patch(location, 0, FILE[:1000])
    (part,) = parts(cloud)
    os.truncate(part, 400)
    assert await station.offset(location) == 400
    part.unlink()
    assert await station.offset(location) == 0
    await station.upload(FILE)


async def test_a_file_that_got_its_name_but_not_its_row_is_entered(
    cloud: Cloud, station: Station, ada: Person
) -> None:
    await station.upload(FILE)

    def forget(connection: object) -> None:
        connection.execute(delete(schema.media))  # type: ignore[attr-defined]
        connection.execute(update(schema.upload).values(received=1000))  # type: ignore[attr-defined]

    await cloud.database.write(forget)
    assert (await ada.send("GET", f"{station.place}/media/{SHA}")).status == 404
    reply = await station.create_upload(FILE)
    assert reply.headers["Upload-Offset"] == str(len(FILE))
    assert (await ada.send("GET", f"{station.place}/media/{SHA}")).body == FILE


async def test_an_unfinished_upload_is_forgotten_after_a_week(cloud: Cloud, station: Station) -> None:
    location = await place(station)
    await station.patch(location, 0, FILE[:1000])
    cloud.clock.move(7 * 86400 - 60)
    await cloud.app[MEDIA].sweep()
    assert await station.offset(location) == 1000
    cloud.clock.move(120)
    await cloud.app[MEDIA].sweep()
    assert parts(cloud) == []
    assert (await station.send("HEAD", location)).status == 404
    query = select(schema.upload)
    assert await cloud.database.read(lambda c: c.execute(query).first()) is None
    await station.upload(FILE)


async def test_a_full_disk_is_a_storage_error_and_nothing_is_lost(cloud: Cloud, station: Station) -> None:
    location = await place(station)
    files = cloud.app[MEDIA]._files
    files._min_free = 10**18
    reply = await station.patch(location, 0, FILE[:1000])
    assert (reply.status, reply.problem.code) == (503, "REG-009")
    files._min_free = 0
    await station.upload(FILE)


async def test_what_the_server_can_do_is_told_to_everybody(cloud: Cloud, station: Station) -> None:
    async with cloud.session.options(f"{cloud.base}{station.place}/uploads") as reply:
        assert reply.status == 204
        assert reply.headers["Tus-Version"] == "1.0.0"
        assert "sha256" in reply.headers["Tus-Checksum-Algorithm"]
