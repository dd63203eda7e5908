"""A station that nobody touches: from the file on its boot partition to its network and its claim."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from appliance.device import Device
from appliance.paths import Paths
from appliance.reset import station_reset
from appliance.stages import connecting, initializing, setup
from appliance.station import Station
from statemachine.lifecycle import Trigger
from tests.appliance import workshop
from tests.appliance.workshop import PASSWORD, settings_for, station, write_scenario

TOKEN = "mct_" + "C" * 43
FILE = f"wifi_name = Home\nwifi_password = {PASSWORD}\nclaim_code = {TOKEN}\nlanguage = ja\ncountry = FR\n"


@pytest.fixture(autouse=True)
def boot_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "firmware"
    folder.mkdir()

    def settings(*arguments: object, **more: object) -> object:
        made = settings_for(*arguments, **more)  # type: ignore[arg-type]
        device = msgspec.structs.replace(made.device, boot_folders=(str(folder),))
        return msgspec.structs.replace(made, device=device)

    monkeypatch.setattr(workshop, "settings_for", settings)
    monkeypatch.setattr(connecting, "PHONE_S", 0.0)
    return folder


@asynccontextmanager
async def started(folder: Path, **network: float) -> AsyncIterator[tuple[Station, Device, Trigger]]:
    async with station(folder, **network) as made:  # type: ignore[arg-type]
        yield made, made.device, await initializing.run(made.device)


async def test_the_network_of_the_file_is_joined_and_then_forgotten(
    tmp_path: Path, boot_folder: Path
) -> None:
    (boot_folder / "meteor.txt").write_text(FILE)
    async with started(tmp_path) as (_, device, trigger):
        assert trigger is Trigger.NETWORK_KNOWN
        assert device.journal.record.claim_token == TOKEN
        assert await connecting.run(device) is Trigger.CONNECTED
        assert await device.network.stored() == [b"Home"]
        assert (device.boot.wifi, device.boot.claim_code) == (None, None)
    async with started(tmp_path) as (_, device, _trigger):
        assert not device.inbox.has_credentials
        assert device.journal.record.claim_token == TOKEN


async def test_a_router_that_is_slower_than_the_station_is_waited_for(
    tmp_path: Path, boot_folder: Path
) -> None:
    (boot_folder / "meteor.txt").write_text(FILE)
    async with started(tmp_path, in_range=False, retry_seconds=0.1) as (_, device, _trigger):
        assert await connecting.run(device) is Trigger.CONNECT_FAILED
        write_scenario(tmp_path)
        async with asyncio.timeout(60):
            assert await setup.run(device) is Trigger.CLIENT_JOINED
            while await connecting.run(device) is not Trigger.CONNECTED:
                assert await setup.run(device) is Trigger.CLIENT_JOINED


async def test_what_is_wrong_in_the_file_stands_on_the_status_page(tmp_path: Path, boot_folder: Path) -> None:
    (boot_folder / "meteor.txt").write_text("wifi_pasword = hush\n")
    async with started(tmp_path) as (made, _, trigger):
        assert trigger is Trigger.FINGERPRINT_READY
        notice = made.board.snapshot().warnings[0]
        assert notice.code == "BOOT-001"
        assert "Line 1 of meteor.txt" in str(notice.sentence)


async def test_language_and_country_of_the_file_are_taken(tmp_path: Path, boot_folder: Path) -> None:
    (boot_folder / "meteor.txt").write_text("country = FR\n")
    async with started(tmp_path) as (made, _, _trigger):
        assert made.board.snapshot().country == "FR"
    (boot_folder / "meteor.txt").write_text(FILE)
    async with started(tmp_path) as (made, device, _trigger):
        assert (made.board.snapshot().country, device.boot.language) == ("FR", "ja")


async def test_a_reset_forgets_what_was_taken_so_that_the_file_counts_again(
    tmp_path: Path, boot_folder: Path
) -> None:
    (boot_folder / "meteor.txt").write_text(FILE)
    async with started(tmp_path) as (made, device, _trigger):
        paths = Paths(device.settings.data_dir)
        await station_reset(paths, device.network, tmp_path / "spool").run()
        assert not made.paths.boot_copy.exists()
