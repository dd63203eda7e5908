"""The control socket: what the command line of the same user may ask of the running station."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from appliance.commandline.local import NotRunning, call
from appliance.control import Control, serve
from appliance.identity.credentials import from_claim
from appliance.station import Station
from statemachine.lifecycle import State
from tests.appliance.fakes import FakeCloud
from tests.appliance.workshop import station


@pytest.fixture
async def made(tmp_path: Path, cloud: FakeCloud) -> AsyncIterator[Station]:
    async with station(tmp_path, cloud.url) as built:
        built.conductor._lifecycle._model.state = State.SETUP.value
        yield built


@pytest.fixture
async def door(made: Station, tmp_path: Path) -> AsyncIterator[Path]:
    path = tmp_path / "run" / "control.sock"
    runner = await serve(Control(made.front, made.device.client.url, made.start_over).app(), path, 0o600)
    yield path
    await runner.cleanup()


async def post(door: Path, path: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
    return await call(door, "POST", path, data=body)


async def test_only_its_own_user_may_open_the_socket(door: Path) -> None:
    assert stat.S_IMODE(door.stat().st_mode) == 0o600


async def test_a_socket_that_a_killed_program_left_is_replaced(tmp_path: Path, made: Station) -> None:
    path = tmp_path / "old.sock"
    path.write_text("left behind")
    runner = await serve(Control(made.front, "", made.start_over).app(), path, 0o600)
    assert (await call(path, "GET", "/status"))[0] == 200
    await runner.cleanup()


async def test_a_path_that_is_too_long_for_a_socket_is_an_error_and_no_crash(
    tmp_path: Path, made: Station
) -> None:
    with pytest.raises(OSError, match="too long"):
        await serve(Control(made.front, "", made.start_over).app(), tmp_path / ("x" * 120), 0o600)
    assert os.umask(0o022) == 0o022


async def test_the_status_is_the_picture_of_the_pages(door: Path, made: Station) -> None:
    card = await asyncio.to_thread(made.device.card.current)
    await made.board.gather()
    status, facts = await call(door, "GET", "/status")
    assert status == 200
    assert (facts["state"], facts["claimed"], facts["phase"]) == ("setup", False, "setup")
    assert facts["step"] == str(made.board.snapshot().step)
    assert facts["card"]["pin"] == card.pin
    assert facts["host"]["disk_total"] == made.board.snapshot().host.disk_total
    assert json.dumps(facts)


async def test_a_claim_code_is_kept(door: Path, made: Station, cloud: FakeCloud) -> None:
    body = json.dumps({"token": cloud.token, "api_url": f"{cloud.url}/"}).encode()
    assert await post(door, "/register", body) == (202, {"accepted": True})
    assert made.device.journal.record.claim_token == cloud.token


BAD: list[tuple[str, bytes, int, str]] = [
    ("/register", b"", 400, "CTL-001"),
    ("/register", b"{", 400, "CTL-001"),
    ("/register", b'{"token": "\xff"}', 400, "CTL-001"),
    ("/register", b'{"token": 1}', 400, "CTL-001"),
    ("/register", b'{"token": "mct_x", "wish": 1}', 400, "CTL-001"),
    ("/register", b'{"token": "mct_x"}', 400, "REG-004"),
    ("/register", b'{"token": "mct_x", "api_url": "https://other.example"}', 409, "CTL-002"),
    ("/buffer/retry", b'{"names": "night-1"}', 400, "CTL-001"),
    ("/reset", b"[]", 400, "CTL-001"),
    ("/reset", b'{"extent": "everything"}', 400, "CTL-001"),
]


@pytest.mark.parametrize(("path", "body", "status", "code"), BAD)
async def test_a_bad_request_is_refused_with_its_reason(
    door: Path, made: Station, path: str, body: bytes, status: int, code: str
) -> None:
    answered, told = await post(door, path, body)
    assert (answered, told["code"]) == (status, code)
    assert told["detail"]
    assert not made.paths.reset_marker.exists()


async def test_a_claimed_station_refuses_a_claim_code(door: Path, made: Station, cloud: FakeCloud) -> None:
    made.device.credentials.keep(from_claim(cloud.complete(), cloud.url))
    status, told = await post(door, "/register", json.dumps({"token": cloud.token}).encode())
    assert (status, told["code"]) == (409, "REG-003")


@pytest.mark.parametrize(
    ("body", "extent"),
    [(b"", "owner"), (b'{"extent": "all"}', "all"), (b'{"extent": "networks"}', "networks")],
)
async def test_a_reset_is_durable_before_it_is_answered(
    door: Path, made: Station, body: bytes, extent: str
) -> None:
    assert (await post(door, "/reset", body))[0] == 202
    assert json.loads(made.paths.reset_marker.read_text()) == {"extent": extent}


async def test_a_halted_station_says_what_a_person_has_to_do_instead_of_a_reset(
    door: Path, made: Station
) -> None:
    made.conductor._lifecycle._model.state = State.HALTED.value
    status, told = await post(door, "/reset")
    assert (status, told["code"]) == (409, "CTL-003")
    assert "off and on" in told["detail"]
    assert not made.paths.reset_marker.exists()


async def test_locate_and_retry_are_taken(door: Path, made: Station) -> None:
    assert (await post(door, "/locate"))[0] == 202
    assert made.board.snapshot().led.pattern == "locate"
    assert (await post(door, "/retry"))[0] == 202


async def test_what_nobody_knows_is_not_found(door: Path) -> None:
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(door))) as session,
        session.get("http://station/nothing") as response,
    ):
        assert response.status == 404


async def test_a_caller_learns_that_nobody_is_there(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        await call(tmp_path / "none.sock", "GET", "/status")
    (tmp_path / "file.sock").write_text("no socket")
    with pytest.raises(NotRunning):
        await call(tmp_path / "file.sock", "GET", "/status")
