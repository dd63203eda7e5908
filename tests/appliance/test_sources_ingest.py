"""The HTTP door on a real Unix socket, before the real buffer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from appliance.sources.ingest import create_ingest_app
from buffer.capacity import Limits
from buffer.errors import DiskFull
from buffer.message import Draft, Priority, Receipt
from tests.appliance.sources_support import MEDIA_LIMIT, Station, event_json, media_files, station

URL = "http://station/ingest/v1/events"
JSON = {"Content-Type": "application/json"}


@asynccontextmanager
async def door(here: Station, folder: Path) -> AsyncIterator[aiohttp.ClientSession]:
    runner = web.AppRunner(create_ingest_app(here.intake))
    await runner.setup()
    await web.UnixSite(runner, str(folder / "ingest.sock")).start()
    try:
        connector = aiohttp.UnixConnector(str(folder / "ingest.sock"))
        async with aiohttp.ClientSession(connector=connector) as session:
            yield session
    finally:
        await runner.cleanup()


def form(event: bytes | None, **files: bytes) -> aiohttp.FormData:
    data = aiohttp.FormData()
    if event is not None:
        data.add_field("event", event.decode(), content_type="application/json")
    for name, content in files.items():
        data.add_field("file", content, filename=name, content_type="image/jpeg")
    return data


async def problem(response: aiohttp.ClientResponse) -> dict[str, Any]:
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = await response.json()
    assert body["status"] == response.status
    assert body["remedy"]
    return body


@pytest.mark.parametrize("path", ["/ingest/v1/events", "/ingest/events"])
async def test_json_is_answered_with_its_id_after_it_is_in_the_buffer(tmp_path: Path, path: str) -> None:
    async with station(tmp_path) as here, door(here, tmp_path) as session:
        async with session.post(f"http://station{path}", data=event_json(), headers=JSON) as response:
            assert response.status == 202
            answer = await response.json()
        [event] = await here.events()
        assert answer == {
            "event_id": event.event_id,
            "client_event_id": event.client_event_id,
            "revision": 1,
            "duplicate": False,
        }
        async with session.post(f"http://station{path}", data=event_json(), headers=JSON) as response:
            assert (await response.json()) == answer | {"duplicate": True}


async def test_files_come_along_in_any_order_and_keep_every_byte(tmp_path: Path) -> None:
    picture = bytes(range(256)) * 8192  # 2 MB
    event = event_json(media_files=["a.jpg"], media=[{"name": "a.jpg", "role": "thumbnail"}])
    data = aiohttp.FormData()
    data.add_field("file", picture, filename="a.jpg")
    data.add_field("event", event, filename="event.json")
    data.add_field("more", b"--looks--\r\n--like a boundary", filename="notes.txt")
    async with station(tmp_path) as here, door(here, tmp_path) as session:
        async with session.post(URL, data=data) as response:
            assert response.status == 202, await response.text()
        [stored] = await here.events()
        assert [(m.name, m.role, m.mime) for m in stored.media] == [
            ("a.jpg", "thumbnail", "image/jpeg"),
            ("notes.txt", "media", "text/plain"),
        ]
        assert await here.bytes_of(stored) == picture


async def test_curl_as_in_the_readme_works(tmp_path: Path) -> None:
    (tmp_path / "event.json").write_bytes(event_json(media_files=["photo.jpg"]))
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8 picture")
    async with station(tmp_path) as here, door(here, tmp_path):
        process = await asyncio.create_subprocess_exec(
            "curl", "-sS", "-w", "%{http_code}", "--unix-socket", "ingest.sock",
            "-F", "event=@event.json", "-F", "file=@photo.jpg", URL,
            cwd=tmp_path, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        answer, _ = await process.communicate()
        assert answer.endswith(b"202"), answer
        [event] = await here.events()
        assert await here.bytes_of(event) == b"\xff\xd8 picture"


REFUSED: list[tuple[bytes, int, str, str]] = [
    (b"", 400, "SRC-001", "$"),
    (b"not json", 400, "SRC-001", "$"),
    (event_json(timestamp="2026-08-12T22:14:03"), 400, "SRC-002", "$.timestamp"),
    (event_json(confidance=1), 400, "SRC-002", "$.confidance"),
    (event_json(media_files=["a.jpg"]), 400, "SRC-003", "$.media_files[0]"),
    (event_json(media=[{"name": "a.jpg", "path": "/etc/passwd"}]), 400, "SRC-003", "$.media[0]"),
    (b"[" + b" " * 300_000 + b"]", 413, "SRC-006", "$"),
]


@pytest.mark.parametrize(("body", "status", "code", "field"), REFUSED)
async def test_a_bad_event_is_refused_with_code_field_and_remedy(
    tmp_path: Path, body: bytes, status: int, code: str, field: str
) -> None:
    async with station(tmp_path) as here, door(here, tmp_path) as session:
        async with session.post(URL, data=body, headers=JSON) as response:
            refused = await problem(response)
        assert (response.status, refused["code"], refused["field"]) == (status, code, field)
        assert await here.messages() == []


async def test_a_refused_event_leaves_none_of_its_files_behind(tmp_path: Path) -> None:
    cases = [
        (form(None, **{"a.jpg": b"1"}), "SRC-007"),
        (form(event_json(media_files=["b.jpg"]), **{"a.jpg": b"1"}), "SRC-003"),
        (form(event_json(media=[{"name": "a.jpg", "size": 7}]), **{"a.jpg": b"1"}), "SRC-005"),
        (form(event_json(confidence=7), **{"a.jpg": b"1"}), "SRC-002"),
    ]
    async with station(tmp_path) as here, door(here, tmp_path) as session:
        for data, code in cases:
            async with session.post(URL, data=data) as response:
                assert response.status == 400
                assert (await problem(response))["code"] == code
        assert media_files(tmp_path) == []
        assert await here.messages() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"--B\r\n",
        b"--B\r\nContent-Disposition: form-data; name=event\r\n\r\n{",
        b'--B\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--B--\r\n',
        b'--B\r\nContent-Disposition: form-data; name="f"; filename="a.jpg"\r\n\r\nhalf a pict',
        b'--B\r\nContent-Disposition: form-data; name="f"; filename="a.jpg"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--B--\r\n",
        b"--B\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\n--C\r\n\r\n\r\n--C--\r\n--B--\r\n",
        b"--B\r\nbroken header\r\n\r\nx\r\n--B--\r\n",
    ],
)
async def test_a_broken_multipart_body_is_refused_and_leaves_nothing(
    tmp_path: Path, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    async with station(tmp_path) as here, door(here, tmp_path) as session:
        async with session.post(URL, data=body, headers=headers) as response:
            assert response.status == 400, await response.text()
            await problem(response)
        assert media_files(tmp_path) == []
        assert await here.messages() == []
    assert "Traceback" not in caplog.text


async def test_multipart_without_a_boundary_is_refused(tmp_path: Path) -> None:
    headers = {"Content-Type": "multipart/form-data"}
    async with (
        station(tmp_path) as here,
        door(here, tmp_path) as session,
        session.post(URL, data=b"--B--", headers=headers) as response,
    ):
        assert response.status == 400


async def test_hostile_file_names_become_harmless_ones(tmp_path: Path) -> None:
    names = [
        b'filename="../../etc/cron.d/x.jpg"',
        b'filename="C:\\\\meteors\\\\y.jpg"',
        b"filename*=utf-8''%C3%BC%7F.jpg",
        b'filename="' + b"l" * 300 + b'.jpg"',
    ]
    parts = [b'name="event"\r\n\r\n' + event_json()]
    parts += [b'name="f"; ' + name + b"\r\n\r\n%d" % number for number, name in enumerate(names)]
    body = (
        b"".join(b"--B\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts) + b"--B--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    async with station(tmp_path) as here, door(here, tmp_path) as session:
        async with session.post(URL, data=body, headers=headers) as response:
            assert response.status == 202, await response.text()
        [event] = await here.events()
        assert [media.name for media in event.media] == ["x.jpg", "y.jpg", "ü_.jpg", "l" * 196 + ".jpg"]


async def test_a_file_above_the_limit_is_answered_413(tmp_path: Path) -> None:
    data = form(event_json(), **{"a.jpg": b"x" * (MEDIA_LIMIT + 1)})
    async with station(tmp_path) as here, door(here, tmp_path) as session:
        async with session.post(URL, data=data) as response:
            assert response.status == 413
            assert (await problem(response))["code"] == "BUF-008"
        assert media_files(tmp_path) == []


async def test_a_full_buffer_is_answered_507_and_the_event_can_be_sent_again(tmp_path: Path) -> None:
    async with station(tmp_path, Limits(max_count=100)) as here, door(here, tmp_path) as session:
        for number in range(200):
            critical = Draft("event", b"{}", Priority.CRITICAL, idempotency_key=f"k{number}")
            try:
                await here.store.put(critical)
            except Exception as error:
                assert getattr(error, "code", "") == "BUF-001"
                break
        else:
            raise AssertionError("the buffer never became full")
        async with session.post(URL, data=form(event_json(), **{"a.jpg": b"1"})) as response:
            assert response.status == 507
            assert (await problem(response))["code"] == "BUF-001"
        assert media_files(tmp_path) == []
        await here.store.ack([message.id for message in await here.store.lease(1000)])
        async with session.post(URL, data=form(event_json(), **{"a.jpg": b"1"})) as response:
            assert response.status == 202


async def test_no_yes_without_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(draft: Draft) -> Receipt:
        raise DiskFull("There is no space left for the buffer.")

    async with station(tmp_path) as here, door(here, tmp_path) as session:
        monkeypatch.setattr(here.store, "put", full)
        async with session.post(URL, data=event_json(), headers=JSON) as response:
            assert response.status == 507
        assert here.accepted == []


async def test_a_hundred_events_at_once_are_all_kept_once(tmp_path: Path) -> None:
    async with station(tmp_path) as here, door(here, tmp_path) as session:

        async def post(number: int) -> tuple[int, str]:
            data = form(event_json(client_event_id=f"cam:{number}"), **{"a.jpg": f"{number}".encode()})
            async with session.post(URL, data=data) as response:
                return response.status, (await response.json())["event_id"]

        answers = await asyncio.gather(*(post(number) for number in range(100)))
        assert {status for status, _ in answers} == {202}
        assert {event_id for _, event_id in answers} == {event.event_id for event in await here.events()}
        assert len(media_files(tmp_path)) == 100


async def test_a_client_that_hangs_up_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    async with station(tmp_path) as here, door(here, tmp_path):
        _, writer = await asyncio.open_unix_connection(str(tmp_path / "ingest.sock"))
        writer.write(
            b"POST /ingest/v1/events HTTP/1.1\r\nHost: station\r\nContent-Length: 100000\r\n"
            b"Content-Type: multipart/form-data; boundary=B\r\n\r\n"
            b'--B\r\nContent-Disposition: form-data; name="f"; filename="a.jpg"\r\n\r\nhalf a picture'
        )
        await writer.drain()
        for _ in range(500):
            if [path for path in (tmp_path / "media").rglob("*") if path.is_file()]:
                break
            await asyncio.sleep(0.01)
        else:
            raise AssertionError("the file never began to arrive")
        writer.close()
        await writer.wait_closed()
        for _ in range(500):
            if not [path for path in (tmp_path / "media").rglob("*") if path.is_file()]:
                break
            await asyncio.sleep(0.01)
        assert [path for path in (tmp_path / "media").rglob("*") if path.is_file()] == []
        assert await here.messages() == []


async def test_the_schema_and_other_paths_are_answered_in_kind(tmp_path: Path) -> None:
    async with station(tmp_path) as here, door(here, tmp_path) as session:
        async with session.get("http://station/ingest/v1/schema") as response:
            schema = json.loads(await response.read())
            assert "Observation" in schema["$defs"]
        for method, path, status in (("GET", "/ingest/v1/events", 405), ("GET", "/", 404)):
            async with session.request(method, f"http://station{path}") as response:
                assert response.status == status
                await problem(response)
