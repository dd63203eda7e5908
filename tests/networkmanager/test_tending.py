"""The hotspot while it is open: phones that come and do not get in, and a radio that falls silent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest
from dbus_fast import unpack_variants

from appliance.network.networkmanager.backend import NetworkManagerNetwork
from appliance.network.networkmanager.ladder import HANDSHAKES, Rung
from appliance.network.port import HotspotInfo
from tests.appliance.workshop import until
from tests.networkmanager.conftest import ScriptedProbe
from tests.networkmanager.fake import BusCommands, FakeNetworkManager
from tests.networkmanager.test_hotspot import INFO, Check, Services

pytestmark = pytest.mark.usefixtures("quick")

EVERY_RUNG = {"rsn", "wpa", "open"}


class World:
    """A backend with an open hotspot, its services and its check."""

    def __init__(self, nm: FakeNetworkManager, probe: ScriptedProbe) -> None:
        self.nm = nm
        self.services = Services()
        self.check = Check(nm, EVERY_RUNG)
        self.network = NetworkManagerNetwork(
            probe,
            bus_address=nm.address,
            services=self.services,
            check=self.check,
            commands=BusCommands(nm),
            hold_seconds=0.0,
            look_seconds=0.05,
        )

    def come(self, *inside: bool) -> None:
        for each in inside:
            self.services.came(each)

    def is_on(self, rung: str) -> bool:
        return self.rung() == rung

    def rung(self) -> str:
        """As the profile in the air has it; empty while there is none."""
        profile = unpack_variants(self.nm.profiles.get(self.nm._profile_on_wlan() or "", {}))
        if not profile or self.network.hotspot() is None:
            return ""
        return str(profile.get("802-11-wireless-security", {}).get("proto", ["open"])[0])


@asynccontextmanager
async def opened(nm: FakeNetworkManager, probe: ScriptedProbe, info: HotspotInfo) -> AsyncIterator[World]:
    world = World(nm, probe)
    await world.network.start()
    await world.network.start_hotspot(info)
    yield world
    await world.network.close()


@pytest.mark.parametrize("may_be_open", [True, False])
async def test_phones_that_do_not_get_in_lead_to_the_last_protected_rung_and_never_to_an_open_hotspot(
    nm: FakeNetworkManager, probe: ScriptedProbe, caplog: pytest.LogCaptureFixture, may_be_open: bool
) -> None:
    async with opened(nm, probe, replace(INFO, may_be_open=may_be_open)) as world:
        assert world.rung() == "rsn"
        world.come(*[False] * HANDSHAKES)
        await until(partial(world.is_on, "wpa"))
        for _ in range(2):
            world.come(*[False] * HANDSHAKES)
        assert caplog.text.count("ask for an open hotspot") == 2
        assert not world.network._hotspot._unfit.is_set()
        assert world.network._hotspot.rung is Rung.WPA
        assert world.rung() == "wpa"


@pytest.mark.parametrize(
    "came",
    [[False] * (HANDSHAKES - 1), [False, True, False, False, False, False], [True] + [False] * 9],
    ids=["too few", "one got in between", "one got in first"],
)
async def test_where_a_phone_gets_in_nobody_outside_brings_the_protection_down(
    nm: FakeNetworkManager, probe: ScriptedProbe, came: list[bool]
) -> None:
    async with opened(nm, probe, INFO) as world:
        world.come(*came)
        assert not world.network._hotspot._unfit.is_set()
        assert world.network._hotspot.rung is Rung.WPA2


async def test_a_closed_hotspot_counts_nobody(nm: FakeNetworkManager, probe: ScriptedProbe) -> None:
    async with opened(nm, probe, INFO) as world:
        await world.network.stop_hotspot()
        world.come(*[False] * HANDSHAKES)
        assert world.network._hotspot.rung is Rung.WPA2


async def test_a_hotspot_that_falls_silent_is_opened_again_with_the_same_protection(
    nm: FakeNetworkManager, probe: ScriptedProbe, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(nm, probe, INFO) as world:
        nm.calls.clear()
        world.check.silent = 1
        await until(lambda: world.check.silent == 0 and world.rung() == "rsn")
        assert nm.calls.count("ActivateConnection") == 1
        assert "opening it again" in caplog.text
        assert world.network.hotspot() == INFO
