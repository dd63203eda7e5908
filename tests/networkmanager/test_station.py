"""The whole station on NetworkManager, as its owner meets it: hotspot, wrong password, claim, reset."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from dbus_fast import unpack_variants

from appliance import hardware
from appliance.commandline.local import call
from appliance.daemon import Ending
from appliance.network.networkmanager.backend import NetworkManagerNetwork
from appliance.network.networkmanager.hotspot_ports import NoServices
from appliance.settings import NetworkSection, Settings
from tests.appliance.conftest import cloud, quick
from tests.appliance.fakes import FakeCloud
from tests.appliance.test_daemon import enter, join, journey, living, reach, until_failed, watchful
from tests.appliance.workshop import PASSWORD, settings_for, until
from tests.networkmanager.fake import UP, WRONG_PASSWORD, BusCommands, FakeNetworkManager, Point, Step
from tests.portal.phone import Phone

assert cloud and quick and watchful  # fixtures

pytestmark = pytest.mark.usefixtures("quick", "flushes_nothing")


@pytest.fixture
def flushes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No flush of the whole machine's disks."""
    monkeypatch.setattr("appliance.network.networkmanager.stored.make_durable", partial(asyncio.sleep, 0))


def answers_to(profile: dict[str, Any]) -> list[Step]:
    """Home lets in who knows its password."""
    return UP if profile["802-11-wireless-security"]["psk"] == PASSWORD else WRONG_PASSWORD


@pytest.fixture
def house(nm: FakeNetworkManager, monkeypatch: pytest.MonkeyPatch) -> FakeNetworkManager:
    """The air of a house, and a radio whose interface leads to the cloud of the test."""
    nm.rename("lo")
    nm.hear(Point(b"Home", 80))
    nm.hear(Point(b"Neighbour", 40))
    nm.ends[b"Home"] = answers_to
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", nm.address)
    with_nm = partial(NetworkManagerNetwork, commands=BusCommands(nm), hold_seconds=0.0)
    monkeypatch.setattr(hardware, "NetworkManagerNetwork", with_nm)
    # There is no radio, and the rules of a hotspot would be this machine's.
    monkeypatch.setattr(hardware, "hotspot_services", lambda *_: NoServices())
    return nm


@pytest.fixture
def settings(house: FakeNetworkManager, tmp_path: Path, cloud: FakeCloud, free_port: int) -> Settings:
    """As the installer leaves them: the backend is found by itself."""
    cloud.interval = 0
    made = settings_for(tmp_path, cloud.url, port=free_port)
    return msgspec.structs.replace(made, network=NetworkSection())


async def test_a_station_is_set_up_claimed_and_reset(
    settings: Settings,
    house: FakeNetworkManager,
    cloud: FakeCloud,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    watchful: None,
) -> None:
    caplog.set_level(logging.DEBUG)
    await journey(settings, cloud, tmp_path)
    assert "network backend: networkmanager" in caplog.text
    assert "hotspot Meteor-" in caplog.text
    assert PASSWORD not in caplog.text
    assert "wrong horse" not in caplog.text


async def test_a_reset_forgets_the_networks_at_the_next_start(
    settings: Settings, house: FakeNetworkManager, cloud: FakeCloud, tmp_path: Path
) -> None:
    await journey(settings, cloud, tmp_path)
    async with living(settings):
        await reach(settings, "setup")
        assert not house.on_disk


async def test_a_station_that_forgets_its_networks_stays_its_owners_and_opens_its_hotspot(
    settings: Settings, house: FakeNetworkManager, cloud: FakeCloud
) -> None:
    async with living(settings) as task, Phone(f"http://127.0.0.1:{settings.portal.port}") as phone:
        await reach(settings, "setup")
        hotspot = await hotspot_of(house)
        await join(phone, PASSWORD)
        await reach(settings, "network_ready")
        cloud.person_came = True
        owned = await reach(settings, "operational")
        assert house.on_disk
        desk = await enter(phone, (await call(settings.control_socket, "GET", "/pin"))[1]["pin"])
        refused = await phone.send(desk, "/technician/reset", short_id="no", networks="forget")
        assert house.on_disk, "nothing goes before somebody has confirmed it"
        await phone.send(refused, "/technician/reset", short_id=owned["short_id"], networks="forget")
        assert await asyncio.wait_for(task, 60) is Ending.RESET
    async with living(settings):
        after = await reach(settings, "setup")
        assert not house.on_disk
        same = ("claimed", "short_id", "station_name")
        assert [after[each] for each in same] == [owned[each] for each in same]
        assert await hotspot_of(house) == hotspot, "with the key that phones know"


async def hotspot_of(house: FakeNetworkManager) -> tuple[bytes, str]:
    """Name and key of what is in the air."""
    await until(lambda: (house.connected_ssid() or b"").startswith(b"Meteor-"))
    profile = unpack_variants(house.profiles[house._profile_on_wlan() or ""])
    return profile["802-11-wireless"]["ssid"], profile["802-11-wireless-security"]["psk"]


async def test_the_hotspot_is_open_while_a_phone_is_needed_and_back_after_a_wrong_password(
    settings: Settings, house: FakeNetworkManager
) -> None:
    async with living(settings), Phone(f"http://127.0.0.1:{settings.portal.port}") as phone:
        await reach(settings, "setup")
        await until(lambda: (house.connected_ssid() or b"").startswith(b"Meteor-"))
        await join(phone, "wrong horse")
        await until_failed(phone)
        await until(lambda: (house.connected_ssid() or b"").startswith(b"Meteor-"))
        assert not house.on_disk


async def test_a_station_whose_network_comes_back_goes_on_by_itself(
    settings: Settings, house: FakeNetworkManager, cloud: FakeCloud, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with living(settings), Phone(f"http://127.0.0.1:{settings.portal.port}") as phone:
        await reach(settings, "setup")
        await join(phone, PASSWORD)
        await reach(settings, "network_ready")
        cloud.person_came = True
        await reach(settings, "operational")
        home = next(point for point in house.points() if point.ssid == b"Home")
        house.silence(b"Home")
        house._leave()
        # The log keeps what a look at the status may miss: the way back can be short.
        await until(lambda: "network_lost: operational → reconnecting" in caplog.text)
        house.hear(home)
        await reach(settings, "operational")
        assert house.connected_ssid() == b"Home"
