"""Link, scan and stored networks against a NetworkManager in memory, through all its moods."""

from __future__ import annotations

import asyncio

import pytest
from dbus_fast import Variant

from appliance.network import verdict
from appliance.network.internet import InternetEvidence, Met
from appliance.network.networkmanager import names, radio, watch
from appliance.network.networkmanager.air import AccessPoint
from appliance.network.networkmanager.backend import NetworkManagerNetwork
from appliance.network.networkmanager.service import has_networkmanager
from appliance.network.port import (
    NO_LINK,
    Credentials,
    HotspotInfo,
    JoinFailed,
    Link,
    NetworkPort,
    Security,
)
from tests.appliance.workshop import until
from tests.networkmanager.conftest import ScriptedProbe
from tests.networkmanager.fake import (
    NO_DHCP,
    NOT_FOUND,
    WLAN,
    WRONG_PASSWORD,
    BusCommands,
    FakeNetworkManager,
    Point,
)

OFFLINE = InternetEvidence(Met.SILENT, Met.SILENT)
INFO = HotspotInfo("Meteor-ABCD", "a key for phones", "192.0.2.1")


# --- link ---------------------------------------------------------------------------------------------------


async def test_the_backend_is_a_network_port(port: NetworkManagerNetwork) -> None:
    implements: NetworkPort = port
    assert implements.link() == NO_LINK
    connector = implements.connector()
    await connector.close()


async def test_a_cable_is_seen_by_signals_and_goes_before_the_radio(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    nm.hear(Point(b"Barn"))
    await nm.is_connected(nm.store(b"Barn"))
    await until(lambda: (port.link().kind, port.link().online) == ("wifi", True))
    nm.calls.clear()
    nm.plug()
    await until(lambda: (port.link().kind, port.link().online) == ("ethernet", True))
    nm.unplug()
    await until(lambda: (port.link().kind, port.link().online) == ("wifi", True))
    assert nm.calls == [], "nothing was asked for"


async def test_every_watcher_gets_the_newest_link(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    seen: list[Link] = []

    async def follow() -> None:
        async for link in port.changes():
            seen.append(link)

    watcher = asyncio.create_task(follow())
    nm.plug()
    await until(lambda: bool(seen) and seen[-1].online)
    nm.unplug()
    await until(lambda: seen[-1] == NO_LINK)
    watcher.cancel()


async def test_a_link_without_internet_is_up_and_not_online_until_it_is(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, probe: ScriptedProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "FIRST_RECHECK_S", 0.01)
    probe.meets = OFFLINE
    nm.plug()
    await until(lambda: port.link().kind == "ethernet" and len(probe.asked) > 2)
    assert not port.link().online
    probe.meets = InternetEvidence(Met.OURS, Met.OURS)
    await until(lambda: port.link().online)


async def test_a_restart_of_networkmanager_is_survived(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    nm.plug()
    await until(lambda: port.link().online)
    nm.hear(Point(b"Home"))
    await nm.stop()
    await until(lambda: port.link() == NO_LINK)
    await nm.restart()
    await until(lambda: [network.ssid for network in _heard(port)] == [b"Home"])
    nm.plug()
    await until(lambda: port.link().online)


def _heard(port: NetworkManagerNetwork) -> list[AccessPoint]:
    return port._radio.points()


async def test_a_short_restart_of_networkmanager_is_not_taken_for_a_lost_link(
    nm: FakeNetworkManager, probe: ScriptedProbe, quick: None
) -> None:
    network = NetworkManagerNetwork(
        probe, bus_address=nm.address, commands=BusCommands(nm), hold_seconds=60.0
    )
    nm.plug()
    await network.start()
    await until(lambda: network.link().online)
    seen: list[Link] = []

    async def follow() -> None:
        async for link in network.changes():
            seen.append(link)

    watcher = asyncio.create_task(follow())
    await nm.stop()
    await until(lambda: not network._service.present)
    await nm.restart()
    await until(lambda: network._service.present)
    nm.plug()
    await network.scan()
    assert [link.online for link in seen] == [True]
    watcher.cancel()
    await network.close()


async def test_networkmanager_may_come_after_the_station(bus: str, probe: ScriptedProbe, quick: None) -> None:
    fake = FakeNetworkManager(bus)
    network = NetworkManagerNetwork(probe, bus_address=bus, commands=BusCommands(fake), hold_seconds=0.0)
    await network.start()
    assert network.link() == NO_LINK
    assert await network.scan(rescan=True) == []
    with pytest.raises(JoinFailed, match=verdict.BROKEN_OFF):
        await network.forget_all()
    assert not await has_networkmanager(bus)
    await fake.start()
    fake.plug()
    await until(lambda: network.link().online)
    assert await has_networkmanager(bus)
    await network.close()
    await fake.stop()


async def test_without_a_bus_there_is_no_link_and_no_crash(probe: ScriptedProbe) -> None:
    network = NetworkManagerNetwork(probe, bus_address="unix:path=/nowhere/bus")
    await network.start()
    assert network.link() == NO_LINK
    assert await network.stored() == []
    with pytest.raises(JoinFailed, match=verdict.BROKEN_OFF):
        await network.join(Credentials(b"Home", "long enough", Security.WPA2, False))
    assert not await has_networkmanager("unix:path=/nowhere/bus")
    await network.close()


async def test_a_cable_that_was_there_before_is_known_when_the_start_is_over(
    nm: FakeNetworkManager, probe: ScriptedProbe, quick: None
) -> None:
    nm.set(names.MANAGER_PATH, names.MANAGER, Startup=Variant("b", True))
    network = NetworkManagerNetwork(probe, bus_address=nm.address, commands=BusCommands(nm))
    starting = asyncio.create_task(network.start())
    await until(lambda: network._service.present)
    assert not starting.done()
    nm.plug()
    nm.set(names.MANAGER_PATH, names.MANAGER, Startup=Variant("b", False))
    await starting
    assert network.link().online
    await network.close()


async def test_the_backend_can_be_started_again(nm: FakeNetworkManager, port: NetworkManagerNetwork) -> None:
    nm.plug()
    await until(lambda: port.link().online)
    await port.start()
    await port.close()
    nm.unplug()
    nm.hear(Point(b"Home"))
    await port.start()
    await until(lambda: port.link() == NO_LINK)
    assert (await port.join(Credentials(b"Home", "long enough", Security.WPA2, False))).online


async def test_connectivity_of_networkmanager_counts_only_for_the_default_route(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, probe: ScriptedProbe
) -> None:
    probe.meets = OFFLINE
    nm.set(names.MANAGER_PATH, names.MANAGER, Connectivity=Variant("u", names.Connectivity.FULL))
    nm.plug()
    await until(lambda: len(probe.asked) > 1)
    assert not port.link().online, "it says so of everything while it checks nothing"
    nm.set(names.MANAGER_PATH, names.MANAGER, ConnectivityCheckEnabled=Variant("b", True))
    await until(lambda: port.link().online)


# --- scan ---------------------------------------------------------------------------------------------------


async def test_the_list_is_sorted_and_knows_what_is_stored(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    nm.store(b"Barn")
    for point in (
        Point(b"Home", 40),
        Point(b"Home", 80, 5180),
        Point(b"Barn", 60, flags=0, rsn=0),
        Point(b"", 99),
        Point(b"Meteor", 99, mode=3),
    ):
        nm.hear(point)
    found = await port.scan(rescan=True)
    assert [(n.ssid, n.signal, n.bands, n.security, n.known) for n in found] == [
        (b"Home", 80, ("2.4", "5"), Security.WPA2, False),
        (b"Barn", 60, ("2.4",), Security.OPEN, True),
    ]


@pytest.mark.parametrize(
    ("able", "signal", "bands"),
    [(0x300, 40, ("2.4",)), (0x700, 80, ("2.4", "5")), (0x000, 80, ("2.4", "5")), (0x600, 80, ("2.4", "5"))],
    ids=["2.4 GHz alone", "both", "not told", "not told, though something is set"],
)
async def test_a_name_is_judged_by_the_bands_that_the_driver_tells_of(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, able: int, signal: int, bands: tuple[str, ...]
) -> None:
    nm.set(WLAN, names.WIRELESS, WirelessCapabilities=Variant("u", able))
    nm.hear(Point(b"Home", 40))
    nm.hear(Point(b"Home", 80, 5180))
    assert [(n.signal, n.bands) for n in await port.scan(rescan=True)] == [(signal, bands)]


async def test_the_list_of_before_stays_while_the_hotspot_has_the_radio(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    nm.hear(Point(b"Home", 70))
    await port.start_hotspot(INFO)
    nm.silence(b"Home")  # as NetworkManager does when it puts the radio into another mode
    nm.hear(Point(b"Late", 40))
    await until(lambda: {point.ssid for point in port._radio.points()} == {b"Late"})
    assert [network.ssid for network in await port.scan()] == [b"Home", b"Late"]
    await port.stop_hotspot()
    assert [network.ssid for network in await port.scan()] == [b"Late"]


@pytest.mark.parametrize(
    "error", ["org.freedesktop.NetworkManager.Device.NotAllowed", "org.freedesktop.DBus.Error.AccessDenied"]
)
async def test_a_scan_that_is_not_allowed_gives_the_last_list(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, error: str
) -> None:
    nm.hear(Point(b"Home"))
    nm.refuse["RequestScan"] = error
    await until(lambda: bool(_heard(port)))
    assert [network.ssid for network in await port.scan(rescan=True)] == [b"Home"]


async def test_a_scan_that_never_ends_gives_the_last_list(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(radio, "SCAN_S", 0.2)
    nm._on_RequestScan = lambda *_: ("", [])  # type: ignore[method-assign]
    nm.hear(Point(b"Home"))
    assert [network.ssid for network in await port.scan(rescan=True)] == [b"Home"]


async def test_a_scan_of_a_hung_networkmanager_ends(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, impatient: None
) -> None:
    nm.store(b"Barn")
    nm.hang |= {"RequestScan", "GetSettings"}
    nm.hear(Point(b"Barn"))
    found = await port.scan(rescan=True)
    assert [(network.ssid, network.known) for network in found] == [(b"Barn", False)]


# --- stored networks ----------------------------------------------------------------------------------------


async def test_stored_networks_are_tried_in_order_the_current_one_first(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, probe: ScriptedProbe
) -> None:
    for number, ssid in enumerate((b"Third", b"Second", b"First")):
        nm.store(ssid, number)
        nm.hear(Point(ssid))
    nm.ends |= {b"First": WRONG_PASSWORD, b"Second": NO_DHCP}
    assert await port.stored() == [b"First", b"Second", b"Third"]
    link = await port.reconnect()
    assert (link.ssid, link.online) == (b"Third", True)
    assert await port.stored() == [b"First", b"Second", b"Third"], "the order is that of joining, not of use"


async def test_the_current_network_is_tried_first_when_its_internet_is_gone(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, probe: ScriptedProbe
) -> None:
    for number, ssid in enumerate((b"Now", b"Other")):
        nm.hear(Point(ssid))
        nm.store(ssid, number)
    await nm.is_connected(nm.store(b"Now"))
    await until(lambda: port.link().online)
    probe.meets = OFFLINE
    tried: list[bytes] = []
    nm.pause = lambda new: tried.append(nm.connected_ssid() or b"") if new == 50 else None
    with pytest.raises(JoinFailed) as failure:
        await port.reconnect()
    assert failure.value.code == verdict.ALL_FAILED
    assert tried[0] == b"Now"
    assert set(tried) == {b"Now", b"Other"}
    assert {cause.code for cause in failure.value.causes} == {verdict.NO_INTERNET}
    assert not port.link().online


async def test_a_link_that_is_online_is_left_alone(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    nm.store(b"Barn")
    nm.plug()
    await until(lambda: port.link().online)
    assert (await port.reconnect()).kind == "ethernet"
    assert "ActivateConnection" not in nm.calls


async def test_an_open_network_is_never_joined_by_itself(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    nm.hear(Point(b"Free", flags=0, rsn=0))
    with pytest.raises(JoinFailed) as failure:
        await port.reconnect()
    assert failure.value.code == verdict.ALL_FAILED
    assert "ActivateConnection" not in nm.calls


async def test_why_each_stored_network_failed_is_told_in_order(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    nm.store(b"Away", 2)
    nm.store(b"Near", 1)
    nm.hear(Point(b"Near"))
    nm.ends |= {b"Away": NOT_FOUND, b"Near": WRONG_PASSWORD}
    with pytest.raises(JoinFailed) as failure:
        await port.reconnect()
    causes = [(cause.ssid, cause.code) for cause in failure.value.causes]
    assert causes == [(b"Away", verdict.NOT_FOUND), (b"Near", verdict.WRONG_PASSWORD)]


async def test_forgetting_deletes_every_network_and_leaves_the_present_one(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    for ssid in (b"One", b"Two"):
        nm.hear(Point(ssid))
        await port.join(Credentials(ssid, "long enough", Security.WPA2, False))
    other = nm.store(b"Somebody's hotspot", mode="ap")
    await port.forget_all()
    assert await port.stored() == []
    assert set(nm.profiles) == {other}
    await until(lambda: port.link() == NO_LINK)


async def test_on_a_machine_with_other_uses_only_the_stations_own_networks_are_forgotten(
    nm: FakeNetworkManager, probe: ScriptedProbe, quick: None
) -> None:
    network = NetworkManagerNetwork(probe, bus_address=nm.address, commands=BusCommands(nm), dedicated=False)
    await network.start()
    nm.store(b"Somebody's")
    nm.hear(Point(b"Home"))
    await network.join(Credentials(b"Home", "long enough", Security.WPA2, False))
    await network.forget_all()
    assert await network.stored() == [b"Somebody's"]
    await network.close()


async def test_what_an_attempt_of_an_earlier_life_has_left_is_removed(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, probe: ScriptedProbe
) -> None:
    nm.hear(Point(b"Home"))
    nm.ends[b"Home"] = [(40, 0)]
    attempt = asyncio.create_task(port.join(Credentials(b"Home", "long enough", Security.WPA2, False)))
    await until(lambda: nm.connected_ssid() == b"Home")
    left = set(nm.profiles)
    later = NetworkManagerNetwork(probe, bus_address=nm.address, commands=BusCommands(nm))
    await later.start()
    assert left and not nm.profiles
    await later.close()
    attempt.cancel()
    await asyncio.wait({attempt})
