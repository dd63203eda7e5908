"""The stages that look for a network: set-up, choosing, joining, and finding the way back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from appliance.identity.credentials import from_claim
from appliance.network import verdict
from appliance.network.port import HotspotFailed, Link
from appliance.stages import configuring, connecting, reconnecting, setup
from appliance.station import Station
from statemachine.lifecycle import Trigger
from statemachine.record import CONNECTED, NetworkAttempt, decode
from tests.appliance.fakes import FakeCloud
from tests.appliance.workshop import HOME, WRONG, station, until, write_scenario

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Station]:
    async with station(tmp_path, retry_seconds=0.2, configuring_timeout_seconds=0.2) as built:
        await built.device.network.start()
        yield built


# --- setup --------------------------------------------------------------------------------------------------


async def a_phone_comes(made: Station, stage: asyncio.Task[Trigger]) -> None:
    """It looks again until the stage, which may still be busy, has seen it."""
    while not stage.done():
        made.device.inbox.client_joined()
        await asyncio.sleep(0.01)


def patient(made: Station) -> None:
    """Nobody is given up while a test is busy."""
    network = msgspec.structs.replace(made.device.settings.network, retry_seconds=60.0)
    made.device.settings = msgspec.structs.replace(made.device.settings, network=network)


async def test_setup_opens_the_hotspot_and_waits_for_a_phone(made: Station) -> None:
    patient(made)
    stage = asyncio.create_task(setup.run(made.device))
    await until(lambda: made.device.network.hotspot() is not None and made.device.card.known is not None)
    hotspot = made.device.network.hotspot()
    assert hotspot is not None
    assert hotspot.ssid == f"Meteor-{made.device.key.short_id}"
    await a_phone_comes(made, stage)
    assert await stage is Trigger.CLIENT_JOINED


async def test_the_hotspot_has_the_same_key_at_every_start_so_that_phones_rejoin(tmp_path: Path) -> None:
    keys = set()
    for _ in range(2):
        async with station(tmp_path) as built:
            await built.device.network.start()
            await built.device.open_hotspot()
            hotspot = built.device.network.hotspot()
            assert hotspot is not None
            keys.add(hotspot.passphrase)
    assert len(keys) == 1


async def test_a_station_with_a_cable_needs_no_hotspot(made: Station, tmp_path: Path) -> None:
    write_scenario(tmp_path, ethernet=True)
    await until(lambda: made.device.network.link().online)
    assert await setup.run(made.device) is Trigger.LINK_UP
    assert made.device.network.hotspot() is None


async def test_a_station_without_a_radio_waits_all_the_same(
    made: Station, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_info: object) -> None:
        raise HotspotFailed(verdict.NO_RADIO)

    monkeypatch.setattr(made.device.network, "start_hotspot", fail)
    patient(made)
    stage = asyncio.create_task(setup.run(made.device))
    await until(lambda: "NET-008" in caplog.text)
    await a_phone_comes(made, stage)
    assert await stage is Trigger.CLIENT_JOINED


async def test_when_nobody_comes_known_networks_are_tried_again(made: Station) -> None:
    assert await setup.run(made.device) is Trigger.WAITING_FOR_USER
    await made.device.network.join(HOME)
    await made.device.network.start_hotspot(made.device.network.hotspot())  # type: ignore[arg-type]
    assert await setup.run(made.device) is Trigger.LINK_UP


async def test_a_network_that_is_still_away_leaves_the_station_waiting(made: Station, tmp_path: Path) -> None:
    await made.device.network.join(HOME)
    write_scenario(tmp_path, in_range=False)
    await until(lambda: not made.device.network.link().online)
    assert await setup.run(made.device) is Trigger.WAITING_FOR_USER


async def test_a_claimed_station_shows_no_card_on_its_rescue_hotspot(made: Station, cloud: FakeCloud) -> None:
    made.device.credentials.keep(from_claim(cloud.complete(), cloud.url))
    assert await setup.run(made.device) is Trigger.WAITING_FOR_USER
    assert made.device.card.known is None
    assert made.device.network.hotspot() is not None


async def test_the_first_words_of_a_start_are_queued_once(made: Station) -> None:
    for _ in range(2):
        await setup.run(made.device)
    depth = (await made.board.gather()).depth
    assert sum(level.count for level in depth.levels.values()) == 1


# --- configuring --------------------------------------------------------------------------------------------


async def test_a_choice_goes_on_to_joining(made: Station) -> None:
    stage = asyncio.create_task(configuring.run(made.device))
    await asyncio.sleep(0.02)
    made.device.inbox.join(HOME)
    assert await stage is Trigger.CREDENTIALS_RECEIVED


async def test_a_choice_that_was_made_before_is_taken_up_at_once(made: Station) -> None:
    made.device.inbox.join(HOME)
    assert await configuring.run(made.device) is Trigger.CREDENTIALS_RECEIVED


async def test_going_back_and_going_away_both_return_to_setup(made: Station) -> None:
    stage = asyncio.create_task(configuring.run(made.device))
    await asyncio.sleep(0.02)
    made.device.inbox.cancel()
    assert await stage is Trigger.CANCELLED
    assert await configuring.run(made.device) is Trigger.CANCELLED


async def test_a_cancelled_stage_leaves_no_task_behind(made: Station) -> None:
    before = asyncio.all_tasks()
    stage = asyncio.create_task(configuring.run(made.device))
    await asyncio.sleep(0.02)
    stage.cancel()
    await asyncio.wait({stage})
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


# --- connecting ---------------------------------------------------------------------------------------------


def attempt(made: Station) -> NetworkAttempt:
    kept = made.device.journal.record.network_attempt
    assert kept is not None
    return kept


async def test_a_joined_network_is_in_the_record_and_the_hotspot_is_gone(made: Station) -> None:
    await made.device.open_hotspot()
    made.device.inbox.join(HOME)
    assert await connecting.run(made.device) is Trigger.CONNECTED
    assert (attempt(made).ssid, attempt(made).result) == (b"Home", CONNECTED)
    assert made.device.network.hotspot() is None
    assert await made.device.network.stored() == [b"Home"]


async def test_a_wrong_password_keeps_its_verdict_for_the_phone_that_comes_back(made: Station) -> None:
    made.device.inbox.join(WRONG)
    assert await connecting.run(made.device) is Trigger.CONNECT_FAILED
    assert (attempt(made).ssid, attempt(made).result) == (b"Home", "NET-001")
    assert await made.device.network.stored() == []


async def test_the_attempt_is_durable_before_it_begins(
    made: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[NetworkAttempt | None] = []
    join = made.device.network.join

    async def watched(credentials: object) -> Link:
        record = tmp_path / "data" / "state" / "record.json"
        seen.append(decode(record.read_bytes()).network_attempt)
        return await join(HOME)

    monkeypatch.setattr(made.device.network, "join", watched)
    made.device.inbox.join(HOME)
    await connecting.run(made.device)
    [begun] = seen
    assert begun is not None
    assert (begun.ssid, begun.result) == (b"Home", None)


async def test_after_a_power_cut_the_stored_networks_are_joined_without_a_choice(made: Station) -> None:
    await made.device.network.join(HOME)
    assert await connecting.run(made.device) is Trigger.CONNECTED
    assert attempt(made).ssid == b"Home"


async def test_without_choice_and_without_stored_network_the_person_is_asked(made: Station) -> None:
    assert await connecting.run(made.device) is Trigger.CONNECT_FAILED
    assert attempt(made).result == verdict.ALL_FAILED


async def test_no_password_is_ever_in_the_record(made: Station, tmp_path: Path) -> None:
    for credentials in (WRONG, HOME):
        made.device.inbox.join(credentials)
        await connecting.run(made.device)
        text = (tmp_path / "data" / "state" / "record.json").read_text()
        assert (credentials.passphrase or "") not in text


# --- reconnecting -------------------------------------------------------------------------------------------


async def test_a_link_that_is_back_already_needs_nothing(made: Station) -> None:
    await made.device.network.join(HOME)
    assert await reconnecting.run(made.device) is Trigger.RECONNECTED


async def test_the_known_networks_are_tried_until_one_works(made: Station, tmp_path: Path) -> None:
    await made.device.network.join(HOME)
    write_scenario(tmp_path, in_range=False)
    await until(lambda: not made.device.network.link().online)
    stage = asyncio.create_task(reconnecting.run(made.device))
    write_scenario(tmp_path, in_range=True)
    assert await stage is Trigger.RECONNECTED


async def test_when_nothing_works_the_rescue_hotspot_is_asked_for_and_the_reason_kept(
    made: Station, tmp_path: Path
) -> None:
    await made.device.network.join(HOME)
    write_scenario(tmp_path, in_range=False)
    await until(lambda: not made.device.network.link().online)
    assert await reconnecting.run(made.device) is Trigger.RECONNECT_FAILED
    last = made.device.journal.record.last_error
    assert last is not None
    assert last.code == verdict.ALL_FAILED


async def test_without_any_known_network_a_person_is_asked_at_once(made: Station) -> None:
    assert await reconnecting.run(made.device) is Trigger.RECONNECT_FAILED


async def test_a_disk_that_takes_nothing_ends_the_stage_instead_of_being_ignored(
    made: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("appliance.journal.write_atomically", full)
    made.device.inbox.join(HOME)
    with pytest.raises(OSError, match="No space"):
        await connecting.run(made.device)
