"""The set-up hotspot on a NetworkManager in memory: protected, closed, and gone without a rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from dbus_fast import Variant, unpack_variants

from appliance.network import verdict
from appliance.network.networkmanager import hotspot, names
from appliance.network.networkmanager.backend import NetworkManagerNetwork
from appliance.network.networkmanager.ladder import Ladder, Rung
from appliance.network.port import (
    NO_LINK,
    Credentials,
    HotspotFailed,
    HotspotInfo,
    JoinFailed,
    Security,
)
from appliance.network.sae import Sae
from tests.appliance.workshop import until
from tests.networkmanager.conftest import ScriptedProbe
from tests.networkmanager.fake import (
    NOT_FOUND,
    UP,
    WLAN,
    BusCommands,
    FakeNetworkManager,
    Point,
)

INFO = HotspotInfo("Meteor-ABCD", "a key for phones", "192.0.2.1")


class Services:
    """Remembers what it was asked for; refuses when told to."""

    def __init__(self) -> None:
        self.guarded: tuple[str, tuple[str, ...]] | None = None
        self.running: tuple[str, tuple[str, ...]] | None = None
        self.refuses = self.hangs = False
        self.came: Callable[[bool], None] = lambda _inside: None

    async def guard(self, interface: str, addresses: Sequence[str]) -> None:
        self.guarded = interface, tuple(addresses)

    async def start(self, interface: str, addresses: Sequence[str]) -> None:
        assert self.guarded == (interface, tuple(addresses)), "the door is closed before the radio opens"
        if self.refuses:
            raise HotspotFailed(verdict.NO_HOTSPOT)
        self.running = interface, tuple(addresses)
        if self.hangs:
            await asyncio.sleep(3600)

    async def stop(self) -> None:
        self.guarded = self.running = None

    def observe(self, observer: Callable[[bool], None]) -> None:
        self.came = observer


class Check:
    """Sees the hotspot on some rungs only."""

    def __init__(self, nm: FakeNetworkManager, seen_on: set[str]) -> None:
        self._nm = nm
        self._seen_on = seen_on
        self.silent = 0

    async def is_in_the_air(self, interface: str, ssid: str, channel: int) -> bool:
        assert (interface, ssid, channel in (1, 6, 11)) == ("wlan0", "Meteor-ABCD", True)
        if self.silent:
            self.silent -= 1
            return False
        profile = unpack_variants(self._nm.profiles[self._nm._profile_on_wlan() or ""])
        proto = profile.get("802-11-wireless-security", {}).get("proto", ["open"])
        return proto[0] in self._seen_on


async def opened(
    nm: FakeNetworkManager,
    probe: ScriptedProbe,
    seen_on: set[str],
    services: Services,
    ladder: Ladder | None = None,
) -> NetworkManagerNetwork:
    network = NetworkManagerNetwork(
        probe,
        bus_address=nm.address,
        services=services,
        check=Check(nm, seen_on),
        ladder=ladder,
        commands=BusCommands(nm),
        hold_seconds=0.0,
    )
    await network.start()
    return network


async def test_the_hotspot_is_a_protected_network_without_a_way_out(
    nm: FakeNetworkManager, probe: ScriptedProbe, quick: None
) -> None:
    services = Services()
    nm.hear(Point(b"Neighbour", 90, 2412))
    nm.hear(Point(b"Another", 50, 2462))
    network = await opened(nm, probe, {"rsn"}, services)
    await network.start_hotspot(INFO)
    assert network.hotspot() == INFO
    profile = unpack_variants(nm.profiles[nm._profile_on_wlan() or ""])
    assert profile["802-11-wireless"] | {"powersave": 2} == {
        "ssid": b"Meteor-ABCD",
        "mode": "ap",
        "band": "bg",
        "channel": 6,
        "powersave": 2,
        "ap-isolation": 1,
    }
    security = profile["802-11-wireless-security"]
    assert (security["pmf"], security["proto"], security["pairwise"], security["group"]) == (
        1,
        ["rsn"],
        ["ccmp"],
        ["ccmp"],
    )
    assert not profile["connection"]["autoconnect"]
    assert (profile["ipv4"]["method"], profile["ipv6"]["method"]) == ("manual", "disabled")
    assert services.running == ("wlan0", ("10.42.0.1/24", "192.0.2.1/32"))
    assert network.link() == NO_LINK, "a hotspot is no way to the world"
    await network.stop_hotspot()
    assert network.hotspot() is None
    assert services.running is None
    assert not nm.profiles
    await network.close()


@pytest.mark.parametrize(
    ("seen_on", "open_allowed", "rung"),
    [({"wpa"}, False, Rung.WPA), ({"open"}, True, Rung.OPEN), ({"open"}, False, None), (set(), True, None)],
)
async def test_a_radio_that_cannot_do_it_climbs_down(
    nm: FakeNetworkManager,
    probe: ScriptedProbe,
    quick: None,
    seen_on: set[str],
    open_allowed: bool,
    rung: Rung | None,
) -> None:
    network = await opened(nm, probe, seen_on, Services(), Ladder(open_allowed=open_allowed))
    if rung is None:
        with pytest.raises(HotspotFailed, match=verdict.NO_HOTSPOT):
            await network.start_hotspot(INFO)
        assert not nm.profiles
    else:
        await network.start_hotspot(INFO)
        assert network._hotspot.rung is rung
        assert len(nm.profiles) == 1, "the profiles of the upper rungs are gone"
        nm.calls.clear()
        await network.start_hotspot(INFO)
        assert nm.calls.count("ActivateConnection") == 1, "the rung that works is remembered"
    await network.close()


@pytest.mark.parametrize(("may_be_open", "opens"), [(True, True), (False, False)])
async def test_the_last_rung_is_open_only_where_the_page_can_ask_for_a_code(
    nm: FakeNetworkManager, probe: ScriptedProbe, quick: None, may_be_open: bool, opens: bool
) -> None:
    network = await opened(nm, probe, {"open"}, Services())
    info = replace(INFO, may_be_open=may_be_open)
    if opens:
        await network.start_hotspot(info)
        hotspot = network.hotspot()
        assert hotspot is not None
        assert hotspot.open
        assert "802-11-wireless-security" not in nm.profiles[nm._profile_on_wlan() or ""]
        with pytest.raises(HotspotFailed):
            await network.start_hotspot(replace(INFO, may_be_open=False))
    else:
        with pytest.raises(HotspotFailed):
            await network.start_hotspot(info)
    await network.close()


async def test_an_open_hotspot_by_choice_is_open_at_once_and_protected_again_without_it(
    nm: FakeNetworkManager, probe: ScriptedProbe, quick: None
) -> None:
    network = await opened(nm, probe, {"rsn", "open"}, Services())
    await network.start_hotspot(replace(INFO, open=True))
    assert nm.calls.count("ActivateConnection") == 1
    assert "802-11-wireless-security" not in nm.profiles[nm._profile_on_wlan() or ""]
    await network.start_hotspot(INFO)
    assert network.hotspot() == INFO
    assert "802-11-wireless-security" in nm.profiles[nm._profile_on_wlan() or ""]
    await network.close()


async def test_a_hotspot_whose_services_fail_is_not_left_open(
    nm: FakeNetworkManager, probe: ScriptedProbe, quick: None
) -> None:
    services = Services()
    services.refuses = True
    network = await opened(nm, probe, {"rsn"}, services)
    with pytest.raises(HotspotFailed):
        await network.start_hotspot(INFO)
    assert not nm.profiles
    assert network.hotspot() is None
    await network.close()


@pytest.mark.parametrize(
    ("refuse", "code"),
    [
        ("org.freedesktop.NetworkManager.PermissionDenied", verdict.NOT_ALLOWED),
        ("org.freedesktop.NetworkManager.UnknownConnection", verdict.NO_HOTSPOT),
    ],
)
async def test_a_refused_hotspot_says_why(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, refuse: str, code: str
) -> None:
    nm.refuse["ActivateConnection"] = refuse
    with pytest.raises(HotspotFailed, match=code):
        await port.start_hotspot(INFO)
    assert not nm.profiles


async def test_the_hotspot_comes_back_on_the_channel_where_phones_look_for_it(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    nm.hear(Point(b"Neighbour", 90, 2412))
    for _ in range(2):
        await port.start_hotspot(INFO)
        profile = unpack_variants(nm.profiles[nm._profile_on_wlan() or ""])
        assert profile["802-11-wireless"]["channel"] == 6
        await port.stop_hotspot()
        nm.hear(Point(b"Another", 95, 2437))


async def test_a_lost_hotspot_that_cannot_be_opened_again_leaves_no_closed_door(
    nm: FakeNetworkManager, probe: ScriptedProbe, quick: None
) -> None:
    services = Services()
    network = await opened(nm, probe, {"rsn"}, services)
    await network.start_hotspot(INFO)
    nm.set(names.MANAGER_PATH, names.MANAGER, WirelessHardwareEnabled=Variant("b", False))
    nm._leave()
    await until(lambda: network.hotspot() is None and services.guarded is None)
    await network.close()


async def test_without_a_radio_there_is_no_hotspot(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    nm._remove(WLAN)
    await port.scan()
    with pytest.raises(HotspotFailed, match=verdict.NO_RADIO):
        await port.start_hotspot(INFO)


async def test_joining_closes_the_hotspot_first(nm: FakeNetworkManager, port: NetworkManagerNetwork) -> None:
    nm.hear(Point(b"Home"))
    await port.start_hotspot(INFO)
    await port.join(Credentials(b"Home", "long enough", Security.WPA2, False))
    assert port.hotspot() is None
    assert len(nm.profiles) == 1


class CannotWpa3:
    """A radio without SAE."""

    async def look(self, interface: str) -> Sae:
        return Sae.CANNOT


async def test_a_network_that_the_radio_cannot_join_leaves_the_hotspot_open_and_tries_nothing(
    nm: FakeNetworkManager, probe: ScriptedProbe, quick: None
) -> None:
    network = NetworkManagerNetwork(
        probe,
        bus_address=nm.address,
        services=Services(),
        check=Check(nm, {"rsn"}),
        commands=BusCommands(nm),
        sae=CannotWpa3(),
    )
    await network.start()
    nm.hear(Point(b"Modern", rsn=names.KEY_SAE))
    [heard] = await network.scan()
    assert (heard.security, heard.beyond) == (Security.WPA3, True)
    await network.start_hotspot(INFO)
    nm.calls.clear()
    with pytest.raises(JoinFailed, match=verdict.NO_WPA3):
        await network.join(Credentials(b"Modern", "long enough", Security.WPA3, False))
    assert network.hotspot() == INFO
    assert "ActivateConnection" not in nm.calls
    await network.close()


async def test_looking_for_known_networks_closes_the_hotspot_only_if_there_are_any(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    await port.start_hotspot(INFO)
    with pytest.raises(JoinFailed):
        await port.reconnect()
    assert port.hotspot() == INFO
    nm.store(b"Away")
    nm.ends[b"Away"] = NOT_FOUND
    with pytest.raises(JoinFailed):
        await port.reconnect()
    assert port.hotspot() is None


async def test_the_hotspot_is_opened_again_after_a_restart_of_networkmanager(
    nm: FakeNetworkManager, probe: ScriptedProbe, quick: None
) -> None:
    services = Services()
    network = await opened(nm, probe, {"rsn"}, services)
    await network.start_hotspot(INFO)
    await nm.restart()
    await until(lambda: nm.connected_ssid() == b"Meteor-ABCD" and network.hotspot() == INFO)
    await until(lambda: len(nm.profiles) == 1)
    await network.close()


async def test_closing_the_backend_closes_the_hotspot_and_leaves_the_link(
    nm: FakeNetworkManager, probe: ScriptedProbe, quick: None
) -> None:
    network = await opened(nm, probe, {"rsn"}, Services())
    await network.start_hotspot(INFO)
    await network.close()
    assert not nm.profiles
    nm.hear(Point(b"Home"))
    again = await opened(nm, probe, {"rsn"}, Services())
    await again.join(Credentials(b"Home", "long enough", Security.WPA2, False))
    await again.close()
    assert nm.connected_ssid() == b"Home"


async def test_a_cancelled_start_leaves_no_half_of_a_hotspot(
    nm: FakeNetworkManager, probe: ScriptedProbe, quick: None
) -> None:
    services = Services()
    services.hangs = True
    network = await opened(nm, probe, {"rsn"}, services)
    starting = asyncio.create_task(network.start_hotspot(INFO))
    await until(lambda: services.running is not None)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert services.running is None
    assert not nm.profiles
    assert network.hotspot() is None
    await network.close()


async def test_a_cancelled_stop_closes_the_hotspot_all_the_same(
    nm: FakeNetworkManager, probe: ScriptedProbe, quick: None
) -> None:
    services = Services()
    network = await opened(nm, probe, {"rsn"}, services)
    await network.start_hotspot(INFO)
    stopping = asyncio.create_task(network.stop_hotspot())
    await until(lambda: services.running is None)
    stopping.cancel()
    await asyncio.wait({stopping})
    assert not nm.profiles
    await network.close()


async def test_a_hotspot_that_never_comes_up_is_given_up(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hotspot, "UP_S", 0.2)
    nm.ends[b"Meteor-ABCD"] = UP[:3]
    with pytest.raises(HotspotFailed, match=verdict.NO_HOTSPOT):
        await port.start_hotspot(INFO)
    assert not nm.profiles
