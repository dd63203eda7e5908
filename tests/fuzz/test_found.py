"""What rubbish once found, each fault by itself: the refusal says what is wrong."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from appliance.control import serve
from appliance.sources.errors import SourceRefused
from appliance.sources.ingest import create_ingest_app
from appliance.sources.schema import decode
from cloud.api import bodies
from cloud.realtime import gateway
from protocol import server_log
from protocol.limits import MAX_NESTING
from protocol.nesting import too_deep
from tests.appliance.sources_support import event_json
from tests.appliance.sources_support import station as before_buffer
from tests.cloud.cloud_server import Cloud
from tests.fuzz.frames import TEXT, frame
from tests.fuzz.rubbish import nested
from tests.fuzz.test_frames import of_page
from tests.fuzz.wire import Wire


def deep(levels: int) -> Any:
    return json.loads(nested(levels))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, False),
        ({}, False),
        (deep(MAX_NESTING), False),
        (deep(MAX_NESTING + 1), True),
        ({"a": deep(MAX_NESTING)}, True),
        ([1, {"b": (2, [3])}], False),
        ([[]] * 100_000, False),
    ],
)
def test_only_what_stands_in_each_other_too_often_is_too_deep(value: Any, expected: bool) -> None:
    assert too_deep(value) is expected


@pytest.mark.parametrize(
    "header", ["content-encoding", "authorization", "cookie", "idempotency-key", "user-agent"]
)
async def test_a_header_that_is_no_text_is_named(cloud: Cloud, header: str) -> None:
    wire = Wire(cloud.settings.port)
    sent = [("host", b"x"), (header, b"a\xff")]
    for method, path in (("GET", "/v1/devices"), ("POST", "/v1/devices/claim"), ("GET", "/v1/nothing")):
        reply = await wire.ask(method, path, sent, b"{}" if method == "POST" else b"")
        assert (reply.status, reply.problem.reason) == (400, "invalid")
        assert reply.problem.detail == f"The header {header} is not UTF-8."
    page = await wire.ask("GET", "/account", sent, b"")
    assert (page.status, b"could not be read" in page.body) == (400, True)
    await wire.close()


@pytest.mark.parametrize("metadata", ["sha256 é", "sha256 !!!!", "é e30=", "sha256 //8="])
async def test_metadata_of_an_upload_that_cannot_be_read_are_named(cloud: Cloud, metadata: str) -> None:
    made = await cloud.claimed(await cloud.person())
    headers = {"Upload-Length": "1", "Upload-Metadata": metadata}
    reply = await made.send("POST", f"{made.place}/uploads", headers=headers)
    assert (reply.status, reply.problem.field) == (422, "$.upload_metadata")


async def test_an_event_and_an_order_may_not_nest_without_end(cloud: Cloud) -> None:
    ada = await cloud.person()
    made = await cloud.claimed(ada)
    for depth, status in ((MAX_NESTING - 1, 201), (MAX_NESTING, 422), (900, 422)):
        values = {"a": deep(depth)}
        event = await made.report(made.event(metadata=values))
        order = await ada.send("POST", f"{made.place}/commands", {"type": "x", "parameters": values})
        assert (event.status, order.status) == (status, status)
        if status == 422:
            assert (event.problem.field, order.problem.field) == ("$.metadata", "$.parameters")


def test_the_station_refuses_what_the_cloud_would_refuse() -> None:
    decode(event_json(metadata={"a": deep(MAX_NESTING - 1)}))
    with pytest.raises(SourceRefused) as refused:
        decode(event_json(metadata={"a": deep(MAX_NESTING)}))
    assert refused.value.field == "$.metadata"


async def test_a_count_that_no_database_holds_is_named(cloud: Cloud) -> None:
    made = await cloud.claimed(await cloud.person())
    body = json.dumps({"uptime": 1, "boot_id": "b", "seq": 1, "state": "x", "disk_usage": {"total": 2**64}})
    reply = await made.send("POST", f"{made.place}/heartbeat", body.encode())
    assert (reply.status, reply.problem.field) == (422, "$.disk_usage.total")


@pytest.mark.parametrize("data", [nested(5_000), nested(5_000, b"{")])
async def test_a_frame_that_is_nested_without_end_is_no_frame(cloud: Cloud, data: bytes) -> None:
    line = await of_page(cloud, await cloud.person())()
    assert await line.ends([frame(TEXT, b'{"event":"x","data":{"a":' + data + b"}}")], b"x")
    assert line.close_code == gateway.BAD_FRAME


async def test_a_body_that_pauses_too_long_is_given_up(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SILENCE_S", 0.1)
    wire = Wire(cloud.settings.port)
    head = b"POST /v1/devices/claim HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
    reply = await wire.say(head)
    assert (reply.status, reply.problem.reason) == (408, "too_slow")
    await wire.close()


async def test_a_packed_event_is_refused_with_a_remedy(tmp_path: Path) -> None:
    async with before_buffer(tmp_path) as here:
        runner = await serve(create_ingest_app(here.intake), tmp_path / "i.sock", 0o600)
        wire = Wire(path=str(tmp_path / "i.sock"))
        sent = [("host", b"x"), ("content-type", b"application/json"), ("content-encoding", b"gzip")]
        reply = await wire.ask("POST", "/ingest/v1/events", sent, event_json())
        problem = reply.read(dict[str, Any])
        assert (reply.status, problem["remedy"]) == (400, "Send it as it is, as curl does.")
        await wire.close()
        await runner.cleanup()


async def test_what_is_not_http_is_one_line_of_the_log(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    server_log.tame()
    caplog.set_level(logging.INFO)
    wire = Wire(cloud.settings.port)
    assert (await wire.say(b"GET / HTTP/1.1\r\nHost: x\r\nX: \x7f\x01\r\n\r\n")).status == 400
    await wire.close()
    (said,) = (record for record in caplog.records if record.name == "aiohttp.server")
    assert (said.levelname, said.exc_info) == ("INFO", None)
    assert said.getMessage().startswith("a request was not HTTP: 400")
