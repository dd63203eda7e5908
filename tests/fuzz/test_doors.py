"""Rubbish at the station's own doors: the ingest socket, the control socket, the spool. Recording goes on."""

from __future__ import annotations

import logging
import os
import random
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from appliance.control import Control, serve
from appliance.sources.ingest import PROBLEM_TYPE, create_ingest_app
from protocol import server_log
from tests.appliance.conftest import cloud
from tests.appliance.fakes import FakeCloud
from tests.appliance.sources_support import event_json
from tests.appliance.sources_support import station as before_buffer
from tests.appliance.test_sources_spool import scene
from tests.appliance.workshop import station as whole_station
from tests.cloud.station_client import Reply
from tests.fuzz.rubbish import HEADER_VALUES, MESSAGES, SEED, altered
from tests.fuzz.wire import Wire

__all__ = ["cloud"]

HOST = ("host", b"station")
JSON = ("content-type", b"application/json")
LIMIT_STATUSES = {507}
BOUNDARY = b"--frontier"


@pytest.fixture(autouse=True)
def as_the_daemon_does() -> None:
    server_log.tame()


def well(caplog: pytest.LogCaptureFixture) -> None:
    failures = [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info]
    assert [record.getMessage() for record in failures] == []


def parts(event: bytes, dice: random.Random) -> bytes:
    """A multipart body with the event and a file, whole or not."""
    name = dice.choice((b"a.jpg", b"", b"../../x", b"\xff\xfe", b"x" * 400, b"a\tb", b'"', b".", b"a\x00b"))
    kind = dice.choice((b"", b"Content-Transfer-Encoding: base64\r\n", b"Content-Type: multipart/mixed\r\n"))
    wanted = dice.choice((b"event", b"event", b"event", b"", b"file"))
    body = b"\r\n".join(
        (
            BOUNDARY,
            b'Content-Disposition: form-data; name="' + wanted + b'"\r\n\r\n' + event,
            BOUNDARY,
            kind + b'Content-Disposition: form-data; name="f"; filename="' + name + b'"\r\n\r\npicture',
            BOUNDARY + b"--\r\n",
        )
    )
    return body[: dice.randrange(len(body))] if dice.random() < 0.3 else body


async def handed_in(wire: Wire, dice: random.Random, number: int) -> Reply:
    good = event_json(client_event_id=f"n{number}", media=[{"name": "a.jpg"}] if dice.random() < 0.1 else [])
    event = altered(good, dice) if dice.random() < 0.9 else good
    kind = JSON
    if dice.random() < 0.3:
        event = parts(event, dice)
        boundary = dice.choice((b"frontier", b"frontier", b"frontier", b"other", b"", b"x" * 300))
        kind = ("content-type", b"multipart/form-data; boundary=" + boundary)
    elif dice.random() < 0.1:
        kind = (dice.choice(("content-type", "content-encoding")), dice.choice(HEADER_VALUES))
    method = "POST" if dice.random() < 0.97 else dice.choice(("GET", "PUT", "DELETE", "HEAD"))
    path = dice.choice(
        ("/ingest/v1/events", "/ingest/events", "/ingest/v1/schema", "/%00", "/ingest/v1/events?a=%ff")
    )
    return await wire.ask(method, path, [HOST, kind], event)


@pytest.mark.filterwarnings("ignore::aiohttp.multipart.BadContentDispositionHeader")
@pytest.mark.filterwarnings("ignore::aiohttp.multipart.BadContentDispositionParam")
async def test_the_ingest_socket_answers_every_rubbish_with_a_remedy_and_takes_the_next_event(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dice, new = random.Random(f"{SEED} ingest"), set[str]()
    async with before_buffer(tmp_path) as here:
        runner = await serve(create_ingest_app(here.intake), tmp_path / "i.sock", 0o600)
        wire = Wire(path=str(tmp_path / "i.sock"))
        for number in range(2 * MESSAGES):
            reply = await handed_in(wire, dice, number)
            assert reply.status < 500, reply
            if reply.status == 202:
                answer = reply.read(dict[str, Any])
                new.add(answer["event_id"])
            elif reply.headers.get("content-type") == PROBLEM_TYPE and reply.body:
                problem = reply.read(dict[str, Any])
                assert problem["status"] == reply.status
                assert problem["remedy"]
        assert {event.event_id for event in await here.events()} == new
        reply = await wire.ask("POST", "/ingest/v1/events", [HOST, JSON], event_json(client_event_id="good"))
        assert reply.status == 202, reply
        await wire.close()
        await runner.cleanup()
    well(caplog)


CONTROL: Mapping[str, bytes] = {
    "/register": b'{"token": "mct_x", "api_url": "http://localhost"}',
    "/reset": b'{"extent": "everything?"}',
    "/retry": b"",
    "/locate": b"",
    "/pin": b"",
    "/buffer/flush": b"",
    "/buffer/retry": b'{"names": ["a", "b"]}',
}


async def test_the_control_socket_refuses_rubbish_and_the_station_goes_on(
    tmp_path: Path, cloud: FakeCloud, caplog: pytest.LogCaptureFixture
) -> None:
    dice = random.Random(f"{SEED} control")
    async with whole_station(tmp_path, cloud.url) as made:
        control = Control(made.front, made.device.client.url, made.start_over).app()
        assert set(CONTROL) == {
            r.resource.canonical for r in control.router.routes() if r.resource and r.method == "POST"
        }
        runner = await serve(control, tmp_path / "c.sock", 0o600)
        wire = Wire(path=str(tmp_path / "c.sock"))
        caplog.clear()
        for _ in range(MESSAGES):
            path = dice.choice((*CONTROL, "/status", "/buffer", "/doctor?x=%ff", "/nothing", "/%00"))
            body = altered(CONTROL.get(path) or b'{"a": 1}', dice)
            if path == "/reset" and b"everything?" not in body:
                continue  # what is valid would reset this station, and is no rubbish
            kind = JSON if dice.random() < 0.8 else ("content-type", dice.choice(HEADER_VALUES))
            method = dice.choice(("POST", "POST", "POST", "GET", "PUT"))
            reply = await wire.ask(method, path, [HOST, kind], body)
            assert reply.status < 500, (path, body[:200], reply)
        reply = await wire.ask("GET", "/status", [HOST], b"")
        assert reply.status == 200
        await wire.close()
        await runner.cleanup()
    well(caplog)


def odd_names(dice: random.Random) -> list[bytes]:
    """Names of files as a file system takes them, whatever they look like."""
    fixed = [
        b"\xff\xfe.json",
        b"a\nb.json",
        b"-rf.json",
        b" .json",
        b"x" * 250 + b".json",
        "🦄.json".encode(),
    ]
    fixed += [
        b"\x1b[31m.json",
        b"a.json.json",
        b"a.JSON",
        b"~.json",
        b"$(id).json",
        b"%00.json",
        b"reason.txt",
    ]
    fixed += [
        b"accepted.json",
        b"rejected.json",
        b"\xff" * 255,
        b"picture.jpg",
        b"\xc3\x28.jpg",
        b"noending",
        b"a.done",
    ]
    return fixed + [dice.randbytes(20).replace(b"/", b"_").replace(b"\0", b"_") + b".json" for _ in range(20)]


def strange(folder: Path) -> None:
    """What is no file at all, or leads elsewhere."""
    os.mkfifo(folder / "pipe.json")
    (folder / "folder.json").mkdir()
    (folder / "round.json").symlink_to("round.json")
    (folder / "out.json").symlink_to("/etc/passwd")
    (folder / "device.jpg").symlink_to("/dev/zero")
    (folder / "nowhere.jpg").symlink_to("/nowhere")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "s.json"))
    (folder / "empty.json").touch()
    (folder / "empty.jpg").touch()
    with (folder / "large.json").open("wb") as sparse:
        sparse.truncate(1 << 31)
    (folder / "old.json").write_bytes(event_json())
    os.utime(folder / "old.json", (-(2**31), -(2**31)))
    (folder / "future.jpg").write_bytes(b"x")
    os.utime(folder / "future.jpg", (2**33, 2**33))


async def test_the_spool_puts_rubbish_aside_and_takes_what_comes_after_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dice = random.Random(f"{SEED} spool")
    async with scene(tmp_path) as s:
        room = os.fsencode(s.folder)
        for name in odd_names(dice):
            Path(os.fsdecode(room + b"/" + name)).write_bytes(altered(event_json(), dice))
        for number in range(MESSAGES):
            (s.folder / f"{number}.json").write_bytes(altered(event_json(client_event_id=f"n{number}"), dice))
        strange(s.folder)
        await s.settle()
        await s.settle()
        s.drop("good.json", event_json(client_event_id="good"))
        await s.spool.tick()
        names = {event.client_event_id for event in await s.here.events()}
        assert "good" in names
        left = {path.name for path in s.folder.iterdir() if path.suffix == ".json"}
        assert left <= {"pipe.json", "folder.json", "s.json"}, "these are no files, and nobody's business"
        assert s.spool.trouble is None
    well(caplog)
