"""The backend and the real NetworkManager: profiles, checkpoints, links by signals, restarts, permissions."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import Variant

from appliance.network import verdict
from appliance.network.networkmanager import names
from appliance.network.networkmanager.backend import NetworkManagerNetwork
from appliance.network.networkmanager.bus import CallFailed
from appliance.network.networkmanager.checkpoint import Checkpoint
from appliance.network.networkmanager.commands import Commands
from appliance.network.networkmanager.hotspot_profile import hotspot_profile, subnet
from appliance.network.networkmanager.joining import code_of_call
from appliance.network.networkmanager.ladder import Rung
from appliance.network.networkmanager.names import ActiveState
from appliance.network.networkmanager.profiles import KeyManagement, Profile, addresses, station_profile
from appliance.network.networkmanager.service import Service, has_networkmanager
from appliance.network.networkmanager.stored import Profiles
from appliance.network.port import (
    NO_LINK,
    Credentials,
    Enterprise,
    HotspotFailed,
    HotspotInfo,
    JoinFailed,
    Link,
    Security,
    StaticAddress,
)
from tests.appliance.workshop import until
from tests.networkmanager.conftest import ScriptedProbe
from tests.networkmanager.ssids import SSIDS
from tests.networkmanager.test_join import command_lines
from tests.networkmanager.world import METEOR_UID, STRANGER_UID, World, polkitd, why_no_world, world

pytestmark = pytest.mark.networkmanager

LONG_S = 60.0
PASSWORD = "a secret of the house"
HOME = Credentials(b"Home", PASSWORD, Security.WPA2, False)


@pytest.fixture(scope="module")
def daemon() -> Iterator[World]:
    """NetworkManager without polkit, which lets only root in."""
    if reason := why_no_world():
        pytest.skip(reason)
    with world() as made:
        yield made


@pytest.fixture
async def service(daemon: World) -> AsyncIterator[Service]:
    """The daemon as the backend sees it; what a test leaves in it is removed."""
    made = Service(daemon.address)
    await made.start()
    assert made.present, daemon.log()
    yield made
    answer = await made.call(names.SETTINGS_PATH, names.SETTINGS, "ListConnections")
    for path in answer[0]:
        if made.mirror.get(path, names.CONNECTION).get("Filename") or not is_loopback(made, path):
            await made.call(path, names.CONNECTION, "Delete")
    await made.close()


def is_loopback(service: Service, path: str) -> bool:
    """NetworkManager makes a profile for `lo` by itself."""
    return any(
        active.get("Connection") == path and active.get("Type") == names.LOOPBACK_TYPE
        for _, active in service.mirror.of(names.ACTIVE)
    )


@pytest.fixture
def profiles(service: Service, daemon: World) -> Profiles:
    """Its stored profiles."""
    return Profiles(service, Commands(daemon.address))


async def store(profiles: Profiles, credentials: Credentials, way: KeyManagement = KeyManagement.PSK) -> str:
    """Adds a profile as an attempt does and keeps it as a success does; its path."""
    name = str(uuid.uuid4())
    path = await profiles.add(station_profile(credentials, way, name, priority=None))
    await profiles.keep(path, station_profile(credentials, way, name, priority=1))
    return path


def cable(address: str, name: str = "cable") -> Profile:
    """A profile for eth0 that nothing has to answer to."""
    return {
        "connection": {
            "id": Variant("s", name),
            "uuid": Variant("s", str(uuid.uuid4())),
            "type": Variant("s", names.ETHERNET_TYPE),
            "interface-name": Variant("s", "eth0"),
        },
        "ipv4": {
            "method": Variant("s", "manual"),
            "address-data": addresses([address]),
            "gateway": Variant("s", "192.0.2.1"),
        },
        "ipv6": {"method": Variant("s", "disabled")},
    }


async def plug_in(service: Service, profile: Profile, profiles: Profiles) -> str:
    """Adds a profile for eth0, activates it, and waits until it is up; its path."""
    path = await profiles.add(profile)
    device = eth0(service)
    await service.call(
        names.MANAGER_PATH, names.MANAGER, "ActivateConnection", "ooo", [path, device, names.NOTHING]
    )
    assert await service.until(lambda: active_profile(service) == path, LONG_S)
    return path


def eth0(service: Service) -> str:
    """The device's path."""
    return next(path for path, device in service.mirror.of(names.DEVICE) if device.get("Interface") == "eth0")


def active_profile(service: Service) -> str | None:
    """The path of the profile that eth0 is connected with."""
    device = service.mirror.get(eth0(service), names.DEVICE)
    active = service.mirror.get(device.get("ActiveConnection"), names.ACTIVE)
    return active.get("Connection") if active.get("State") == ActiveState.ACTIVATED else None


# --- profiles -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ssid", SSIDS.values(), ids=SSIDS)
async def test_any_ssid_is_stored_and_read_back_byte_by_byte(
    service: Service, profiles: Profiles, ssid: bytes
) -> None:
    await store(profiles, replace(HOME, ssid=ssid))
    assert [profile.ssid for profile in await profiles.networks()] == [ssid]
    await profiles.delete(*await profiles.networks())
    assert await profiles.networks() == []


async def test_every_ssid_survives_a_restart_of_the_daemon(
    service: Service, profiles: Profiles, daemon: World
) -> None:
    for ssid in SSIDS.values():
        await store(profiles, replace(HOME, ssid=ssid))
    daemon.stop()
    assert not await has_networkmanager(daemon.address)
    daemon.start()
    await until(lambda: service.present, LONG_S)
    assert await has_networkmanager(daemon.address)
    assert {profile.ssid for profile in await profiles.networks()} == set(SSIDS.values())


CREDENTIALS = [
    (HOME, KeyManagement.PSK),
    (HOME, KeyManagement.PSK_ONLY),
    (replace(HOME, hidden=True), KeyManagement.PSK),
    (replace(HOME, passphrase="0123456789abcdef" * 4), KeyManagement.PSK),
    (replace(HOME, passphrase="ein Paßwort mit 🌠 und \"'\\"), KeyManagement.PSK),
    (Credentials(b"x", "kurz", Security.WPA3, False), KeyManagement.SAE),
    (Credentials(b"x", None, Security.OPEN, False), KeyManagement.NONE),
    (Credentials(b"x", None, Security.OPEN, False), KeyManagement.OWE),
    (
        Credentials(b"x", "w", Security.ENTERPRISE, False, Enterprise("peap", "me", unchecked=True)),
        KeyManagement.EAP,
    ),
    (
        Credentials(
            b"x", "w", Security.ENTERPRISE, False, Enterprise("ttls", "me", "a", domain="x.y", unchecked=True)
        ),
        KeyManagement.EAP,
    ),
    (
        replace(HOME, static=StaticAddress("192.168.1.50/24", "192.168.1.1", ("192.168.1.1",))),
        KeyManagement.PSK,
    ),
]


@pytest.mark.parametrize(("credentials", "way"), CREDENTIALS)
async def test_the_daemon_accepts_every_kind_of_profile(
    service: Service, profiles: Profiles, daemon: World, credentials: Credentials, way: KeyManagement
) -> None:
    await store(profiles, credentials, way)
    known = await profiles.networks()
    assert [(profile.ssid, profile.way) for profile in known] == [(credentials.ssid, way)]
    files = list(daemon.connections.iterdir())
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600]
    if credentials.static is not None:
        assert "192.168.1.50/24" in files[0].read_text()


@pytest.mark.parametrize("rung", list(Rung))
async def test_the_daemon_accepts_the_hotspot_on_every_rung(
    service: Service, profiles: Profiles, daemon: World, rung: Rung
) -> None:
    info = HotspotInfo("Meteor-ABCD", "a key for phones", "192.0.2.1")
    path = await profiles.add(hotspot_profile(info, rung, 6, subnet([]), str(uuid.uuid4())))
    assert list(daemon.connections.iterdir()) == [], "it is never on the disk"
    settings = (await service.call(path, names.CONNECTION, "GetSettings"))[0]
    assert settings["ipv4"]["address-data"] == [
        {"address": "10.42.0.1", "prefix": 24},
        {"address": "192.0.2.1", "prefix": 32},
    ]
    assert settings["ipv4"]["method"] == "manual"
    assert settings["connection"]["autoconnect"] is False


async def test_a_trial_is_not_on_the_disk_and_is_swept_away(
    service: Service, profiles: Profiles, daemon: World
) -> None:
    await profiles.add(station_profile(HOME, KeyManagement.PSK, str(uuid.uuid4()), priority=None))
    assert list(daemon.connections.iterdir()) == []
    assert await profiles.networks() == []
    await profiles.sweep()
    assert [each for each in await profiles.all() if each.trial] == []


async def test_a_password_is_stored_for_root_alone_and_seen_nowhere_on_the_way(
    service: Service, profiles: Profiles, daemon: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []

    async def spy() -> None:
        while True:
            seen.extend(command_lines())
            await asyncio.sleep(0)

    spying = asyncio.create_task(spy())
    await store(profiles, HOME)
    await profiles.delete(*await profiles.networks())
    await store(profiles, HOME)
    spying.cancel()
    assert any("nmcli" in line and "delete" in line for line in seen)
    assert not [line for line in seen if PASSWORD in line]
    assert PASSWORD not in caplog.text
    file = next(daemon.connections.iterdir())
    assert PASSWORD in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


async def test_deleting_what_is_gone_already_is_no_error(service: Service, profiles: Profiles) -> None:
    await store(profiles, HOME)
    known = await profiles.networks()
    await profiles.delete(*known)
    await profiles.delete(*known)


async def test_an_impossible_profile_is_refused_without_its_secret(
    service: Service, profiles: Profiles
) -> None:
    short = replace(HOME, passphrase="7 seven")
    with pytest.raises(CallFailed) as refused:
        await store(profiles, short)
    assert "7 seven" not in str(refused.value)
    assert code_of_call(refused.value) == verdict.UNSUPPORTED


# --- checkpoints --------------------------------------------------------------------------------------------


async def test_a_rollback_brings_the_old_profile_back_and_removes_the_new_one(
    service: Service, profiles: Profiles
) -> None:
    old = await plug_in(service, cable("192.0.2.10/24", "old"), profiles)
    kept = await Checkpoint.create(service, eth0(service))
    new = await plug_in(service, cable("192.0.2.20/24", "new"), profiles)
    assert active_profile(service) == new
    await kept.undo()
    assert active_profile(service) == old
    assert service.mirror.get(new, names.CONNECTION) == {}


async def test_a_rollback_to_nothing_ends_without_a_link(service: Service, profiles: Profiles) -> None:
    kept = await Checkpoint.create(service, eth0(service))
    new = await plug_in(service, cable("192.0.2.20/24"), profiles)
    await kept.undo()
    assert active_profile(service) is None
    assert service.mirror.get(new, names.CONNECTION) == {}


async def test_what_is_kept_stays(service: Service, profiles: Profiles) -> None:
    await plug_in(service, cable("192.0.2.10/24", "old"), profiles)
    kept = await Checkpoint.create(service, eth0(service))
    new = await plug_in(service, cable("192.0.2.20/24", "new"), profiles)
    await kept.keep()
    assert active_profile(service) == new
    assert service.mirror.get(names.MANAGER_PATH, names.MANAGER)["Checkpoints"] == []


async def test_networkmanager_rolls_back_by_itself_when_the_station_is_killed(
    service: Service, profiles: Profiles
) -> None:
    old = await plug_in(service, cable("192.0.2.10/24", "old"), profiles)
    abandoned = await Checkpoint.create(service, eth0(service))
    new = await plug_in(service, cable("192.0.2.20/24", "new"), profiles)
    one_second = [abandoned._path, 1]
    await service.call(names.MANAGER_PATH, names.MANAGER, "CheckpointAdjustRollbackTimeout", "ou", one_second)
    await until(lambda: active_profile(service) == old, LONG_S)
    assert service.mirror.get(new, names.CONNECTION) == {}


async def test_a_checkpoint_that_a_killed_station_left_is_rolled_back_before_the_next(
    service: Service, profiles: Profiles
) -> None:
    old = await plug_in(service, cable("192.0.2.10/24", "old"), profiles)
    await Checkpoint.create(service, eth0(service))
    await plug_in(service, cable("192.0.2.20/24", "new"), profiles)
    later = await Checkpoint.create(service, eth0(service))
    await until(lambda: active_profile(service) == old, LONG_S)
    await later.keep()


# --- the whole backend --------------------------------------------------------------------------------------


@pytest.fixture
async def network(daemon: World, service: Service, no_blocking: None) -> AsyncIterator[NetworkManagerNetwork]:
    """The backend on the real daemon, with an internet that is there."""
    made = NetworkManagerNetwork(ScriptedProbe(), bus_address=daemon.address)
    await made.start()
    yield made
    await made.close()


async def test_a_cable_comes_and_goes_by_signals(
    network: NetworkManagerNetwork, service: Service, profiles: Profiles, daemon: World
) -> None:
    assert network.link() == NO_LINK
    await plug_in(service, cable("192.0.2.10/24"), profiles)
    await until(lambda: network.link().online and network.link().address is not None, LONG_S)
    link = network.link()
    assert (link.kind, link.address) == ("ethernet", "192.0.2.10")
    assert link.mac is not None and link.mac.count(":") == 5
    assert await network.reconnect() == link
    daemon.run("ip", "link", "set", "far0", "down")
    await until(lambda: network.link() == NO_LINK, LONG_S)
    daemon.run("ip", "link", "set", "far0", "up")
    await until(lambda: network.link() == link, LONG_S)


async def test_a_restart_of_the_daemon_is_no_lost_link(
    network: NetworkManagerNetwork, service: Service, profiles: Profiles, daemon: World
) -> None:
    profile = cable("192.0.2.10/24")
    path = await plug_in(service, profile, profiles)
    await service.call(path, names.CONNECTION, "Save")
    await until(lambda: network.link().online, LONG_S)
    seen: list[Link] = []

    async def follow() -> None:
        async for link in network.changes():
            seen.append(link)

    watcher = asyncio.create_task(follow())
    network._watch._hold_s = 120.0
    daemon.stop()
    daemon.start()
    await until(lambda: service.present and network._service.generation == 2, LONG_S)
    await until(lambda: active_profile(network._service) is not None, LONG_S)
    daemon.run("ip", "link", "set", "far0", "down")
    network._watch._hold_until = 0.0
    await until(lambda: network.link() == NO_LINK, LONG_S)
    assert [link.online for link in seen] == [True, False]
    daemon.run("ip", "link", "set", "far0", "up")
    watcher.cancel()


async def test_a_machine_without_a_radio_says_so(network: NetworkManagerNetwork) -> None:
    assert await network.scan(rescan=True) == []
    with pytest.raises(JoinFailed, match=verdict.NO_RADIO):
        await network.join(HOME)
    with pytest.raises(HotspotFailed, match=verdict.NO_RADIO):
        await network.start_hotspot(HotspotInfo("Meteor-ABCD", "a key for phones", "192.0.2.1"))
    with pytest.raises(JoinFailed, match=verdict.ALL_FAILED):
        await network.reconnect()


async def test_forgetting_leaves_no_file_behind(
    network: NetworkManagerNetwork, profiles: Profiles, daemon: World
) -> None:
    for ssid in (b"One", b"a:b", b"\xff\xfe"):
        await store(profiles, replace(HOME, ssid=ssid))
    assert set(await network.stored()) == {b"One", b"a:b", b"\xff\xfe"}
    await network.forget_all()
    assert await network.stored() == []
    assert list(daemon.connections.iterdir()) == []


# --- permissions --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded() -> Iterator[World]:
    """NetworkManager that asks polkit, with the rule that the package brings."""
    if reason := why_no_world():
        pytest.skip(reason)
    if polkitd() is None:
        pytest.skip("polkitd is not installed (Debian: apt install polkitd)")
    with world(polkit=True) as made:
        yield made


async def _use(address: str) -> dict[str, Any]:
    """What a station does with profiles and checkpoints, and how it ends."""
    service = Service(address)
    await service.start()
    profiles = Profiles(service, Commands(address))
    found: dict[str, Any] = {"present": service.present}
    try:
        path = await store(profiles, HOME)
        found["known"] = [profile.ssid for profile in await profiles.networks()]
        kept = await Checkpoint.create(service, eth0(service))
        await kept.undo()
        await profiles.delete(*await profiles.networks())
        found["left"] = service.mirror.get(path, names.CONNECTION) != {}
    except CallFailed as error:
        found["error"], found["code"] = str(error), code_of_call(error)
    await service.close()
    return found


def _as_user(uid: int, address: str, answers: Any) -> None:
    os.setgroups([])
    os.setresgid(65_534, 65_534, 65_534)
    os.setresuid(uid, uid, uid)
    answers.send(asyncio.run(_use(address)))


async def used_by(uid: int, guarded: World) -> dict[str, Any]:
    """How it goes for a user: in a process of its own, because a user cannot be changed back."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()
    process = context.Process(target=_as_user, args=(uid, guarded.address, theirs))
    process.start()
    try:
        assert await asyncio.to_thread(mine.poll, 90), "no answer"
        answer: dict[str, Any] = mine.recv()
    finally:
        process.join(20)
        process.kill()
    return answer


async def test_the_stations_own_user_may_do_what_it_needs(guarded: World) -> None:
    found = await used_by(METEOR_UID, guarded)
    assert found == {"present": True, "known": [b"Home"], "left": False}, guarded.log()


async def test_any_other_user_is_refused_with_a_clear_error(guarded: World) -> None:
    found = await used_by(STRANGER_UID, guarded)
    assert found["present"]
    assert found["code"] == verdict.NOT_ALLOWED
    assert "PermissionDenied" in found["error"]
    assert PASSWORD not in found["error"]


def test_the_rule_allows_one_user_and_names_every_permission() -> None:
    rules = Path(__file__).parents[2] / "appliance/network/networkmanager/polkit.rules"
    text = rules.read_text()
    assert 'subject.user == "meteor"' in text
    assert "indexOf(action.id)" in text
