"""What the station does for a technician: test, bundle, restart, reset, and its PIN on the command line."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from appliance import cli
from appliance.checkup import Round, told
from appliance.commandline.exits import Exit
from appliance.commandline.local import call
from appliance.control import Control, serve
from appliance.intakes import SHOWN_BYTES
from appliance.network.port import Link
from appliance.sources.schema import Observation, SourceMedia
from appliance.station import Station
from portal.present import facts
from portal.view import Check, Picture, Refusal
from statemachine.lifecycle import State
from tests.appliance.fakes import FakeCloud
from tests.appliance.workshop import station, until

WIFI = Link("wifi", ssid=b"Home", online=True)


@pytest.fixture
async def made(tmp_path: Path, cloud: FakeCloud) -> AsyncIterator[Station]:
    async with station(tmp_path, cloud.url, ethernet=True) as built:
        await built.device.network.start()
        built.conductor._lifecycle._model.state = State.SETUP.value
        await until(lambda: built.device.network.link().online)
        yield built


def words(checks: tuple[Check, ...]) -> list[tuple[str, str]]:
    return [(check.tone, str(check.text)) for check in checks]


SEEN: list[tuple[str, Link, Round, list[tuple[str, str]]]] = [
    (
        "all is well",
        WIFI,
        Round((0.02, 0.04, 0.03)),
        [
            ("running", "The station is on Home."),
            ("running", "Names are found."),
            ("running", "The internet is reached."),
            ("running", "The cloud answers and is well."),
            ("running", "30 ms"),
            ("running", "Without an answer: 0 of 3 tries."),
        ],
    ),
    (
        "slow, lossy and ill",
        Link("ethernet", online=True),
        Round((0.6, 0.9), ("timeout",), "The cloud did not answer in time.", ill=True),
        [
            ("running", "The station is connected by cable."),
            ("running", "Names are found."),
            ("running", "The internet is reached."),
            ("working", "The cloud answers, but it is not well."),
            ("working", "750 ms"),
            ("working", "Without an answer: 1 of 3 tries."),
        ],
    ),
    (
        "no names",
        WIFI,
        Round((), ("dns", "dns"), "The cloud's name could not be found."),
        [
            ("running", "The station is on Home."),
            ("failed", "The cloud's name is not found."),
            ("failed", "Nothing outside answers."),
            ("failed", "The cloud's name could not be found."),
            ("unknown", "Not tried."),
            ("failed", "Without an answer: 2 of 2 tries."),
        ],
    ),
    (
        "the cloud is down",
        WIFI,
        Round((), ("refused", "refused"), "Nobody answers at the address of the cloud."),
        [
            ("running", "The station is on Home."),
            ("running", "Names are found."),
            ("running", "The internet is reached."),
            ("failed", "Nobody answers at the address of the cloud."),
            ("unknown", "Not tried."),
            ("failed", "Without an answer: 2 of 2 tries."),
        ],
    ),
    (
        "no network",
        Link(),
        Round(),
        [("failed", "The station is on no network."), *[("unknown", "Not tried.")] * 5],
    ),
]


@pytest.mark.parametrize(("link", "seen", "said"), [row[1:] for row in SEEN], ids=[row[0] for row in SEEN])
def test_what_was_met_is_said_in_words(link: Link, seen: Round, said: list[tuple[str, str]]) -> None:
    assert words(told(link, seen)) == said


async def test_the_test_asks_the_cloud_as_events_go(made: Station) -> None:
    checks = words(tuple(await made.front.test_connection()))
    assert checks[3] == ("running", "The cloud answers and is well.")
    assert checks[5] == ("running", "Without an answer: 0 of 5 tries.")


async def test_a_cloud_that_is_away_is_named_after_two_tries(tmp_path: Path) -> None:
    async with station(tmp_path, "http://localhost:1", ethernet=True) as built:
        await built.device.network.start()
        await until(lambda: built.device.network.link().online)
        checks = words(tuple(await built.front.test_connection()))
    assert checks[3:] == [
        ("failed", "Nobody answers at the address of the cloud."),
        ("unknown", "Not tried."),
        ("failed", "Without an answer: 2 of 2 tries."),
    ]


async def test_a_station_without_a_network_asks_nobody(tmp_path: Path, cloud: FakeCloud) -> None:
    async with station(tmp_path, cloud.url) as built:
        await built.device.network.start()
        checks = words(tuple(await built.front.test_connection()))
    assert checks[0] == ("failed", "The station is on no network.")


async def test_only_one_test_runs_at_a_time(made: Station) -> None:
    async with made.technician._testing:
        with pytest.raises(Refusal, match="WEB-008"):
            await made.front.test_connection()


async def test_the_bundle_holds_the_status_and_the_settings_and_no_secret(made: Station) -> None:
    card = await asyncio.to_thread(made.device.card.current)
    key = await asyncio.to_thread(made.device.hotspot_key.current)
    await made.board.gather()
    packed = await made.front.support_bundle()
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        files = {m.name: archive.extractfile(m).read().decode() for m in archive}  # type: ignore[union-attr]
    assert {"support/doctor.json", "support/phones.json", "support/log.txt"} < files.keys()
    assert json.loads(files["support/status.json"])["state"] == "setup"
    assert "[cloud]" in files["support/settings.toml"]
    everything = "".join(files.values())
    for secret in (made.front.pin, card.pin, card.link_secret, key):
        assert secret not in everything


async def hand_in(made: Station, name: str, content: bytes, key: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield content

    async with made.intake.delivery() as delivery:
        ref = await delivery.add(name, chunks())
        observation = Observation(event_type="meteor", timestamp="2026-01-01T21:14:03Z", client_event_id=key)
        await delivery.accept(observation, [(SourceMedia(name=name), ref)], "spool")


async def test_the_last_picture_of_a_camera_can_be_looked_at(made: Station) -> None:
    await made.board.gather()
    assert not made.front.snapshot().recording.picture
    with pytest.raises(Refusal, match="WEB-008"):
        await made.front.picture()
    await hand_in(made, "first.png", b"first", "1")
    await hand_in(made, "sky.jpg", b"sky", "2")
    await hand_in(made, "film.mp4", b"film", "3")
    await hand_in(made, "huge.jpg", b"x" * (SHOWN_BYTES + 1), "4")
    await made.board.gather()
    assert made.front.snapshot().recording.picture
    assert await made.front.picture() == Picture("image/jpeg", b"sky")
    for file in made.paths.media.rglob("*"):
        if file.is_file():
            file.unlink()
    with pytest.raises(Refusal, match="WEB-008"):
        await made.front.picture()


async def test_a_restart_is_wished_for_the_daemon_to_see(made: Station) -> None:
    await made.front.restart()
    assert made.technician.restart_wished.is_set()


@pytest.mark.parametrize("purge", [False, True])
async def test_a_reset_is_durable_when_it_returns(made: Station, purge: bool) -> None:
    await made.front.reset(purge=purge)
    assert json.loads(made.paths.reset_marker.read_text()) == {"extent": "all" if purge else "owner"}


async def test_the_wish_to_forget_the_networks_is_durable_when_it_returns(made: Station) -> None:
    await made.front.forget_networks()
    assert json.loads(made.paths.reset_marker.read_text()) == {"extent": "networks"}


async def test_a_halted_station_refuses_the_reset(made: Station) -> None:
    made.conductor._lifecycle._model.state = State.HALTED.value
    with pytest.raises(Refusal, match="WEB-008"):
        await made.front.reset(purge=False)
    with pytest.raises(Refusal, match="WEB-008"):
        await made.front.forget_networks()


async def test_the_pin_is_in_no_picture_of_the_station(made: Station) -> None:
    await made.front.check_pin(made.front.pin, "10.0.0.2")
    await made.board.gather()
    snapshot = made.front.snapshot()
    told_to_programs = json.dumps(facts(snapshot))
    for text in (repr(snapshot), told_to_programs, made.front.metrics(), "\n".join(snapshot.log)):
        assert made.front.pin not in text


# --- the command line ---------------------------------------------------------------------------------------


async def test_the_control_socket_tells_the_pin_and_makes_a_new_one(made: Station, tmp_path: Path) -> None:
    path = tmp_path / "run" / "control.sock"
    runner = await serve(Control(made.front, made.device.client.url, made.start_over).app(), path, 0o600)
    first = made.front.pin
    assert await call(path, "GET", "/pin") == (200, {"pin": first})
    status, told_new = await call(path, "POST", "/pin")
    assert (status, told_new["pin"]) == (200, made.front.pin)
    _, shown = await call(path, "GET", "/status")
    assert made.front.pin not in msgspec.json.encode(shown).decode()
    await runner.cleanup()


def test_a_station_that_does_not_run_tells_its_pin_from_the_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from appliance.identity.technician import TechnicianFile

    command = ["--data-dir", str(tmp_path / "data"), "pin"]
    assert cli.run(command) is Exit.FAILED
    assert "no PIN yet" in capsys.readouterr().err
    pin = TechnicianFile(tmp_path / "data" / "identity").current().pin
    assert cli.run(command) is Exit.OK
    assert capsys.readouterr().out == f"{pin[:3]} {pin[3:]}\n"
    assert cli.run([*command, "--new"]) is Exit.OK
    new = capsys.readouterr().out.replace(" ", "").strip()
    assert TechnicianFile(tmp_path / "data" / "identity").current().pin == new
