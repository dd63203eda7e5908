"""`doctor` and `support-bundle`, on a running station, beside a stopped one, and with what goes wrong."""

from __future__ import annotations

import asyncio
import io
import json
import os
import stat
import tarfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web

from appliance.commandline import bundle, doctor
from appliance.commandline.exits import CommandFailed, Exit
from appliance.control import Control, serve
from appliance.doctor.examine import examine
from appliance.doctor.told import MARKS, lines, told
from appliance.settings import Settings
from appliance.station import Station
from portal.fakes import FINDINGS
from portal.view import Finding
from statemachine.lifecycle import State
from tests.appliance.fakes import FakeCloud
from tests.appliance.workshop import settings_for, station, write_scenario


@pytest.fixture
async def made(tmp_path: Path, cloud: FakeCloud) -> AsyncIterator[Station]:
    async with station(tmp_path, cloud.url, ethernet=True) as built:
        await built.device.network.start()
        built.conductor._lifecycle._model.state = State.NETWORK_READY.value
        yield built


@pytest.fixture
async def door(made: Station, tmp_path: Path, cloud: FakeCloud) -> AsyncIterator[Settings]:
    settings = settings_for(tmp_path, cloud.url)
    control = Control(made.front, made.device.client.url, made.start_over)
    runner = await serve(control.app(), settings.control_socket, 0o600)
    yield settings
    await runner.cleanup()


async def test_a_running_station_says_what_it_sees_itself(door: Settings) -> None:
    facts = await doctor.ask(door)
    assert facts["running"] is True
    found = {each["name"]: each for each in facts["findings"]}
    assert found["Station"]["evidence"][0].startswith("State network_ready")
    assert found["Network"]["evidence"] == ["By cable, address 127.0.0.1."]
    assert found["Cloud"]["verdict"] == "ok"
    assert json.dumps(facts)


async def test_a_stopped_station_is_said_not_to_run_and_the_rest_is_looked_at(
    tmp_path: Path, cloud: FakeCloud
) -> None:
    write_scenario(tmp_path)
    facts = await doctor.ask(settings_for(tmp_path, cloud.url))
    first, *rest = facts["findings"]
    assert (facts["running"], first["code"], first["verdict"]) == (False, "DOC-001", "fail")
    assert {each["name"]: each["verdict"] for each in rest}["Cloud"] == "ok"
    assert doctor.exit_code(facts) is Exit.FAILED


async def test_a_station_that_hangs_is_said_not_to_answer(
    door: Settings, made: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = asyncio.Event()

    async def hang() -> list[Finding]:
        await over.wait()
        return []

    monkeypatch.setattr(made.front, "diagnose", hang)
    monkeypatch.setattr(doctor, "PATIENCE_S", 0.3)
    facts = await doctor.ask(door)
    assert (facts["running"], facts["findings"][0]["code"]) == (True, "DOC-001")
    assert "does not answer" in facts["findings"][0]["sentence"]
    over.set()


async def test_a_station_of_an_older_version_is_told_from_a_broken_one(door: Settings) -> None:
    other = door.data_dir / "older"
    older = Settings(device=type(door.device)(data_dir=str(other)))
    runner = await serve(web.Application(), older.control_socket, 0o600)
    for asking in (doctor.ask, partial(bundle.save, file=other / "x.tar.gz")):
        with pytest.raises(CommandFailed) as failed:
            await asking(older)
        assert "restart the station" in failed.value.hint
    await runner.cleanup()


async def test_whoever_asks_during_an_examination_gets_its_findings(
    made: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = 0

    async def counted(*args: object) -> list[Finding]:
        nonlocal began
        began += 1
        await asyncio.sleep(0.05)
        return await examine(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("appliance.doctor.examine.examine", counted)
    answers = await asyncio.gather(*(made.front.diagnose() for _ in range(5)))
    assert began == 1
    assert all(answer == answers[0] for answer in answers)
    await made.front.diagnose()
    assert began == 2


def test_the_table_begins_with_what_is_wrong() -> None:
    text = lines({"findings": told(FINDINGS)})
    assert text[0] == "1 wrong, 1 to look at, 1 not known, 1 in order"
    body = "\n".join(text[1:])
    places = [body.index(f"{MARKS[verdict]} ") for verdict in ("fail", "warn", "unknown", "ok")]
    assert places == sorted(places)
    assert "seen: DNS of 192.168.1.1 did not answer within 3 s." in body
    assert "do:   Start the router again" in body
    assert "(NET-012)" in body
    assert max(len(line) for line in text) <= 110


@pytest.mark.parametrize(
    ("verdict", "code"), [("fail", Exit.FAILED), ("warn", Exit.OK), ("unknown", Exit.OK)]
)
def test_only_what_is_wrong_changes_the_exit_code(verdict: str, code: Exit) -> None:
    assert doctor.exit_code({"findings": [{"verdict": "ok"}, {"verdict": verdict}]}) is code


# --- the bundle ---------------------------------------------------------------------------------------------


def names(file: Path) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(file.read_bytes()), mode="r:gz") as archive:
        return {name.removeprefix("support/") for name in archive.getnames()}


async def test_a_running_station_packs_its_own_bundle(door: Settings, tmp_path: Path) -> None:
    target = tmp_path / "help.tar.gz"
    assert str(target) in await bundle.save(door, target)
    assert {"README.txt", "doctor.json", "status.json", "log.txt", "metrics.txt"} <= names(target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


async def test_beside_a_stopped_station_the_bundle_holds_what_lies_on_the_disk(tmp_path: Path) -> None:
    write_scenario(tmp_path)
    async with station(tmp_path) as built:
        await built.device.journal.change(lambda record: record)
    target = tmp_path / "help.tar.gz"
    await bundle.save(settings_for(tmp_path, "http://127.0.0.1:9"), target)
    found = names(target)
    assert {
        "README.txt",
        "doctor.json",
        "settings.toml",
        "versions.json",
        "record.json",
        "buffer.json",
    } <= found
    assert "log.txt" not in found


async def test_a_bundle_is_never_written_over_something_else(door: Settings, tmp_path: Path) -> None:
    target = tmp_path / "mine.txt"
    target.write_text("mine")
    with pytest.raises(CommandFailed, match="is there already"):
        await bundle.save(door, target)
    assert target.read_text() == "mine"


async def test_a_place_that_cannot_be_written_is_named(door: Settings, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="nowhere"):
        await bundle.save(door, tmp_path / "nowhere" / "x.tar.gz")


async def test_without_a_name_the_file_is_named_after_the_moment(
    door: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await bundle.save(door, None)
    [made] = list(tmp_path.glob("meteor-support-*.tar.gz"))
    assert os.path.getsize(made) > 1000
