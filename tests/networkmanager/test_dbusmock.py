"""The backend against python-dbusmock's NetworkManager: somebody else's idea of it, in another process.

What it shows is how NetworkManager's refusals and its absence end, for the person who waits for a network.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from dbus_fast import Variant

from appliance.network import verdict
from appliance.network.internet import InternetEvidence, Met
from appliance.network.networkmanager import names, radio
from appliance.network.networkmanager.backend import NetworkManagerNetwork
from appliance.network.networkmanager.names import DeviceState, Reason
from appliance.network.port import Credentials, JoinFailed, Link, Security
from tests.appliance.workshop import until
from tests.networkmanager.conftest import ScriptedProbe
from tests.networkmanager.mocked import WLAN, MockedNetworkManager

HOME = Credentials(b"Home", "a secret of the house", Security.WPA2, False)
ERROR = names.SERVICE
DENIED = ERROR + ".PermissionDenied"
GUARD_S = 25.0
"""Only for what would hang for ever; nothing here takes so long."""

SAYS = {
    verdict.WRONG_PASSWORD: "The password for Home was not accepted.",
    verdict.NOT_FOUND: "Home is not in reach of the station.",
    verdict.NO_ADDRESS: "Home let the station in but gave it no address (DHCP).",
    verdict.UNSUPPORTED: "Home uses a kind of security that the station cannot use.",
    verdict.NO_RADIO: "The station has no working Wi-Fi radio.",
    verdict.REFUSED: "Home refused the station without a reason.",
    verdict.NO_INTERNET: "The station joined Home, but there is no internet behind it.",
    verdict.NOT_ALLOWED: "The station's program is not allowed to manage the network.",
    verdict.BROKEN_OFF: "The station's network service did not answer, or was interrupted.",
}


@pytest.fixture
def port(mocked_port: NetworkManagerNetwork) -> NetworkManagerNetwork:
    """The backend, started on the mock."""
    return mocked_port


async def join(port: NetworkManagerNetwork, credentials: Credentials = HOME) -> Link:
    async with asyncio.timeout(GUARD_S):
        return await port.join(credentials)


async def refused(port: NetworkManagerNetwork, credentials: Credentials = HOME) -> str:
    """The code of an attempt that fails, and its sentence is the one for people."""
    with pytest.raises(JoinFailed) as failure:
        await join(port, credentials)
    name = (failure.value.ssid or b"").decode()
    assert failure.value.verdict.sentence % {"ssid": name} == SAYS[failure.value.code]
    return failure.value.code


async def test_the_mock_lets_a_network_be_joined(
    mock: MockedNetworkManager, port: NetworkManagerNetwork
) -> None:
    barn = await mock.in_the_barn()
    await until(lambda: port.link().ssid == b"Barn" and port.link().online)
    await mock.hear("Home")
    link = await join(port)
    assert (link.kind, link.ssid, link.online) == ("wifi", b"Home", True)
    assert await port.stored() == [b"Home", b"Barn"]
    assert await mock.connected_profile() not in (barn, None)
    assert not await mock.checkpoints()


# --- an activation that fails -------------------------------------------------------------------------------

PREPARED = [(40, 0), (50, 0)]

REASONS: list[tuple[Reason, str, str]] = [
    (Reason.NONE, "in the air", verdict.REFUSED),
    (Reason.NONE, "away", verdict.NOT_FOUND),
    (Reason.UNKNOWN, "in the air", verdict.REFUSED),
    (Reason.UNKNOWN, "away", verdict.NOT_FOUND),
    (Reason.NOW_UNMANAGED, "in the air", verdict.NO_RADIO),
    (Reason.CONFIG_FAILED, "in the air", verdict.REFUSED),
    (Reason.CONFIG_FAILED, "away", verdict.NOT_FOUND),
    (Reason.IP_CONFIG_UNAVAILABLE, "in the air", verdict.NO_ADDRESS),
    (Reason.IP_CONFIG_EXPIRED, "in the air", verdict.NO_ADDRESS),
    (Reason.NO_SECRETS, "in the air", verdict.WRONG_PASSWORD),
    (Reason.SUPPLICANT_DISCONNECT, "in the air", verdict.WRONG_PASSWORD),
    (Reason.SUPPLICANT_DISCONNECT, "away", verdict.NOT_FOUND),
    (Reason.SUPPLICANT_CONFIG_FAILED, "in the air", verdict.UNSUPPORTED),
    (Reason.SUPPLICANT_FAILED, "in the air", verdict.REFUSED),
    (Reason.SUPPLICANT_FAILED, "with WPA3", verdict.WRONG_PASSWORD),
    (Reason.SUPPLICANT_FAILED, "away", verdict.NOT_FOUND),
    (Reason.SUPPLICANT_TIMEOUT, "in the air", verdict.REFUSED),
    (Reason.SUPPLICANT_TIMEOUT, "with WPA3", verdict.WRONG_PASSWORD),
    (Reason.SUPPLICANT_TIMEOUT, "away", verdict.NOT_FOUND),
    (Reason.DHCP_START_FAILED, "in the air", verdict.NO_ADDRESS),
    (Reason.DHCP_ERROR, "in the air", verdict.NO_ADDRESS),
    (Reason.DHCP_FAILED, "in the air", verdict.NO_ADDRESS),
    (Reason.FIRMWARE_MISSING, "in the air", verdict.NO_RADIO),
    (Reason.REMOVED, "in the air", verdict.NO_RADIO),
    (Reason.SLEEPING, "in the air", verdict.NO_RADIO),
    (Reason.CONNECTION_REMOVED, "in the air", verdict.BROKEN_OFF),
    (Reason.USER_REQUESTED, "in the air", verdict.BROKEN_OFF),
    (Reason.CARRIER, "in the air", verdict.REFUSED),
    (Reason.SSID_NOT_FOUND, "in the air", verdict.REFUSED),
    (Reason.SSID_NOT_FOUND, "with WPA3", verdict.WRONG_PASSWORD),
    (Reason.SSID_NOT_FOUND, "away", verdict.NOT_FOUND),
    (Reason.NEW_ACTIVATION, "in the air", verdict.BROKEN_OFF),
    (Reason.IP_ADDRESS_DUPLICATE, "in the air", verdict.NO_ADDRESS),
]


def test_every_reason_that_a_verdict_depends_on_is_tried() -> None:
    assert {reason for reason, _, _ in REASONS} == set(Reason)


@pytest.mark.parametrize(("reason", "where", "code"), REASONS, ids=[f"{r.name}-{w}" for r, w, _ in REASONS])
async def test_each_reason_of_a_failed_activation_has_its_sentence(
    mock: MockedNetworkManager, port: NetworkManagerNetwork, reason: Reason, where: str, code: str
) -> None:
    await mock.activate_slowly()
    if where != "away":
        await mock.hear("Home", key=names.KEY_SAE if where == "with WPA3" else names.KEY_PSK)
    wish = replace(HOME, security=Security.WPA3) if where == "with WPA3" else HOME
    attempt = asyncio.create_task(refused(port, wish))
    await mock.asked("ActivateConnection")
    await mock.step(*PREPARED, (DeviceState.FAILED, reason))
    await mock.end_activation()
    assert await attempt == code
    assert await mock.profiles() == []
    assert await mock.checkpoints() == []


async def test_a_reason_that_nobody_knows_is_no_crash(
    mock: MockedNetworkManager, port: NetworkManagerNetwork
) -> None:
    await mock.activate_slowly()
    await mock.hear("Home")
    attempt = asyncio.create_task(refused(port))
    await mock.asked("ActivateConnection")
    await mock.step(*PREPARED, (DeviceState.FAILED, 4711))
    await mock.end_activation()
    assert await attempt == verdict.REFUSED


@pytest.mark.parametrize(
    ("last", "reason", "code"),
    [
        (DeviceState.FAILED, Reason.DHCP_FAILED, verdict.NO_ADDRESS),
        (DeviceState.DEACTIVATING, Reason.CONNECTION_REMOVED, verdict.BROKEN_OFF),
    ],
)
async def test_an_end_that_is_told_before_the_answer_to_the_call_counts_too(
    mock: MockedNetworkManager, port: NetworkManagerNetwork, last: DeviceState, reason: Reason, code: str
) -> None:
    barn = await mock.in_the_barn()
    told = 'objects[args[1]].EmitSignal("%s", "StateChanged", "uuu", [%d, %d, %d])'
    steps = [(50, 40, 0), (70, 50, 0), (last, 70, reason)]
    story = "\n".join(told % (names.DEVICE, new, old, reason) for new, old, reason in steps)
    await mock.hear("Home")
    await mock.before_activation(f"{story}\nself.deactivate_connection(self, ret)")
    assert await refused(port) == code
    assert await mock.profiles() == [barn]
    assert await mock.connected_profile() == barn


async def test_a_radio_that_is_taken_from_networkmanager_in_the_middle_is_missing(
    mock: MockedNetworkManager, port: NetworkManagerNetwork
) -> None:
    await mock.activate_slowly()
    await mock.hear("Home")
    attempt = asyncio.create_task(refused(port))
    await mock.asked("ActivateConnection")
    await mock.step(*PREPARED, (DeviceState.UNMANAGED, 76))  # a later NetworkManager's "by the user's wish"
    assert await attempt == verdict.NO_RADIO
    assert await mock.profiles() == []


# --- calls that are refused ---------------------------------------------------------------------------------

STEPS = [
    *("CheckpointCreate", "AddConnection2", "ActivateConnection"),
    *("GetSettings", "Update2", "CheckpointDestroy"),
]
"""The calls of an attempt that works, in their order."""
ANSWERS: list[tuple[str, str, str]] = [
    ("CheckpointCreate", DENIED, verdict.NOT_ALLOWED),
    ("AddConnection2", f"{ERROR}.Settings.PermissionDenied", verdict.NOT_ALLOWED),
    ("ActivateConnection", DENIED, verdict.NOT_ALLOWED),
    ("Update2", f"{ERROR}.Settings.PermissionDenied", verdict.NOT_ALLOWED),
    ("CheckpointDestroy", DENIED, verdict.NOT_ALLOWED),
    ("CheckpointCreate", "org.freedesktop.DBus.Error.AccessDenied", verdict.NOT_ALLOWED),
    ("CheckpointCreate", f"{ERROR}.InvalidArguments", verdict.BROKEN_OFF),
    ("CheckpointCreate", "org.freedesktop.DBus.Error.UnknownMethod", verdict.BROKEN_OFF),
    ("AddConnection2", f"{ERROR}.Settings.Connection.InvalidProperty", verdict.UNSUPPORTED),
    ("AddConnection2", f"{ERROR}.Settings.InvalidConnection", verdict.UNSUPPORTED),
    ("AddConnection2", f"{ERROR}.Settings.Failed", verdict.BROKEN_OFF),
    ("ActivateConnection", f"{ERROR}.Device.IncompatibleConnection", verdict.UNSUPPORTED),
    ("ActivateConnection", f"{ERROR}.Device.InvalidConnection", verdict.UNSUPPORTED),
    ("ActivateConnection", f"{ERROR}.UnknownConnection", verdict.BROKEN_OFF),
    ("ActivateConnection", f"{ERROR}.ConnectionNotAvailable", verdict.BROKEN_OFF),
    ("ActivateConnection", "org.freedesktop.DBus.Error.NoReply", verdict.BROKEN_OFF),
    ("CheckpointDestroy", f"{ERROR}.InvalidArguments", verdict.BROKEN_OFF),
]


@pytest.mark.parametrize(("member", "error", "code"), ANSWERS)
async def test_each_refusal_has_its_sentence_and_the_network_of_before_is_back(
    mock: MockedNetworkManager, port: NetworkManagerNetwork, member: str, error: str, code: str
) -> None:
    barn = await mock.in_the_barn()
    await until(lambda: port.link().online)
    await mock.hear("Home")
    await mock.refuse(member, error)
    assert await refused(port) == code
    assert await mock.profiles() == [barn]
    assert await mock.connected_profile() == barn
    await until(lambda: port.link().ssid == b"Barn" and port.link().online)


@pytest.mark.parametrize("member", ["CheckpointRollback", "Delete"])
async def test_what_cannot_be_cleared_away_does_not_hide_why_the_attempt_failed(
    mock: MockedNetworkManager, port: NetworkManagerNetwork, probe: ScriptedProbe, member: str
) -> None:
    await mock.hear("Home")
    await mock.refuse(member, DENIED)
    probe.meets = InternetEvidence(Met.SILENT, Met.SILENT)
    assert await refused(port) == verdict.NO_INTERNET


async def test_the_calls_that_the_backend_does_not_need_may_all_fail(
    mock: MockedNetworkManager, port: NetworkManagerNetwork
) -> None:
    await mock.hear("Home")
    await mock.refuse("AddAndActivateConnection2", f"{ERROR}.Failed")
    assert (await join(port)).online
    assert not [call for call in mock.calls if call.startswith("AddAndActivate")]


async def test_a_refused_scan_leaves_what_is_known_and_an_attempt_is_made_all_the_same(
    mock: MockedNetworkManager, port: NetworkManagerNetwork
) -> None:
    await mock.hear("Home")
    await mock.refuse("RequestScan", f"{ERROR}.Device.NotAllowed", "Scanning not allowed immediately")
    assert [network.ssid for network in await port.scan(rescan=True)] == [b"Home"]
    unheard = replace(HOME, ssid=b"Unheard", hidden=True)
    assert (await join(port, unheard)).online
    assert "RequestScan" in mock.calls


# --- the radio ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [DeviceState.UNMANAGED, DeviceState.UNAVAILABLE])
async def test_a_radio_that_networkmanager_may_not_or_cannot_use_is_said_to_be_missing(
    mock: MockedNetworkManager,
    port: NetworkManagerNetwork,
    monkeypatch: pytest.MonkeyPatch,
    state: DeviceState,
) -> None:
    monkeypatch.setattr(radio, "WAKE_S", 0.2)
    await mock.hear("Home")
    await mock.step((state, Reason.NONE))
    await until(lambda: port._radio._service.mirror.get(WLAN, names.DEVICE).get("State") == state)
    assert await refused(port) == verdict.NO_RADIO
    assert "CheckpointCreate" not in mock.calls


async def test_a_radio_that_gets_ready_in_time_is_waited_for(
    mock: MockedNetworkManager, port: NetworkManagerNetwork
) -> None:
    await mock.hear("Home")
    await mock.step((DeviceState.UNAVAILABLE, Reason.NONE))
    await mock.set(names.MANAGER_PATH, names.MANAGER, WirelessEnabled=Variant("b", False))
    await until(lambda: not manager(port)["WirelessEnabled"])
    attempt = asyncio.create_task(join(port))
    await until(lambda: bool(manager(port)["WirelessEnabled"]))
    await mock.step((DeviceState.DISCONNECTED, Reason.NONE))
    assert (await attempt).online


async def test_a_radio_behind_a_switch_is_said_to_be_missing(
    mock: MockedNetworkManager, port: NetworkManagerNetwork
) -> None:
    await mock.hear("Home")
    await mock.set(names.MANAGER_PATH, names.MANAGER, WirelessHardwareEnabled=Variant("b", False))
    await until(lambda: not manager(port)["WirelessHardwareEnabled"])
    assert await refused(port) == verdict.NO_RADIO


@pytest.mark.parametrize(
    ("error", "code"), [(DENIED, verdict.NOT_ALLOWED), (f"{ERROR}.Failed", verdict.NO_RADIO)]
)
async def test_a_block_by_software_that_cannot_be_lifted_has_its_sentence(
    mock: MockedNetworkManager, port: NetworkManagerNetwork, error: str, code: str
) -> None:
    await mock.hear("Home")
    await mock.set(names.MANAGER_PATH, names.MANAGER, WirelessEnabled=Variant("b", False))
    await until(lambda: not manager(port)["WirelessEnabled"])
    await mock.refuse_property(error)
    assert await refused(port) == code


def manager(port: NetworkManagerNetwork) -> dict[str, object]:
    """What the backend knows of NetworkManager as a whole."""
    return dict(port._service.mirror.get(names.MANAGER_PATH, names.MANAGER))


# --- the network of before ----------------------------------------------------------------------------------


async def test_a_checkpoint_whose_time_is_over_ends_the_attempt(
    mock: MockedNetworkManager, port: NetworkManagerNetwork
) -> None:
    barn = await mock.in_the_barn()
    await mock.hear("Home")
    await mock.activate_slowly()
    attempt = asyncio.create_task(refused(port))
    await mock.asked("ActivateConnection")
    await mock.step(*PREPARED, (DeviceState.DEACTIVATING, Reason.CONNECTION_REMOVED))
    await mock.time_is_over()
    assert await attempt == verdict.BROKEN_OFF
    assert await mock.profiles() == [barn]
    assert await mock.connected_profile() == barn


@pytest.mark.parametrize("moment", ["the internet", "Update2", "CheckpointDestroy"])
async def test_a_checkpoint_whose_time_is_over_late_leaves_nothing_half_kept(
    mock: MockedNetworkManager, port: NetworkManagerNetwork, probe: ScriptedProbe, moment: str
) -> None:
    barn = await mock.in_the_barn()
    await until(lambda: port.link().online)
    await mock.hear("Home")
    if moment == "the internet":
        probe.before = mock.time_is_over
    else:
        await mock.time_is_over_in(moment)
    assert await refused(port) == (verdict.NOT_FOUND if moment == "the internet" else verdict.BROKEN_OFF)
    assert await mock.profiles() == [barn]
    assert await mock.connected_profile() == barn


@pytest.mark.parametrize("meanwhile", ["the same look", "the next look"])
async def test_the_internet_behind_another_network_does_not_count(
    mock: MockedNetworkManager, port: NetworkManagerNetwork, probe: ScriptedProbe, meanwhile: str
) -> None:
    barn = await mock.in_the_barn()
    await until(lambda: port.link().online)
    await mock.hear("Home")
    looks: list[str | None] = []
    home, another = InternetEvidence(Met.SILENT, Met.SILENT), InternetEvidence(Met.OURS, Met.OURS)

    async def falls_back() -> None:
        looks.append(await mock.connected_profile())
        if len(looks) == 1:
            await mock.bring_up(barn)  # NetworkManager lost Home and took what it knew
            await until(lambda: port.link().ssid == b"Barn")
            probe.meets = another if meanwhile == "the same look" else home
        else:
            probe.meets = another

    probe.before = falls_back
    assert await refused(port) == verdict.NOT_FOUND
    assert looks[0] != barn
    assert await mock.profiles() == [barn]


# --- networkmanager goes, and comes back --------------------------------------------------------------------


@pytest.mark.parametrize("member", [*STEPS, "RequestScan", "the internet"])
async def test_networkmanager_dies_in_the_middle_and_the_next_attempt_works(
    mock: MockedNetworkManager, port: NetworkManagerNetwork, probe: ScriptedProbe, member: str
) -> None:
    if member != "RequestScan":
        await mock.hear("Home")
    if member == "the internet":
        probe.before, probe.meets = mock.kill, InternetEvidence(Met.SILENT, Met.SILENT)
    else:
        await mock.die_in(member)
    assert await refused(port) == verdict.BROKEN_OFF
    await mock.gone()
    probe.before, probe.meets = None, InternetEvidence(Met.OURS, Met.OURS)
    await mock.start()
    await mock.hear("Home")
    await until(lambda: bool(port._radio.points()))
    assert (await join(port)).online


async def test_networkmanager_is_back_before_the_attempt_has_noticed_and_nothing_hangs(
    mock: MockedNetworkManager, port: NetworkManagerNetwork
) -> None:
    await mock.hear("Home")
    await mock.activate_slowly()
    attempt = asyncio.create_task(refused(port))
    await mock.asked("ActivateConnection")
    await mock.step(*PREPARED)
    await mock.kill()
    await mock.start()
    assert await attempt == verdict.BROKEN_OFF
    assert await mock.profiles() == []


async def test_networkmanager_dies_while_the_radio_is_waited_for(
    mock: MockedNetworkManager, port: NetworkManagerNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(radio, "WAKE_S", 0.5)
    await mock.step((DeviceState.UNAVAILABLE, Reason.NONE))
    await mock.set(names.MANAGER_PATH, names.MANAGER, WirelessEnabled=Variant("b", False))
    await until(lambda: not manager(port)["WirelessEnabled"])
    attempt = asyncio.create_task(refused(port))
    await until(lambda: bool(manager(port)["WirelessEnabled"]))
    await mock.kill()
    assert await attempt == verdict.BROKEN_OFF


# --- noise --------------------------------------------------------------------------------------------------


async def test_a_storm_of_changes_neither_stops_an_attempt_nor_is_lost(
    mock: MockedNetworkManager, port: NetworkManagerNetwork
) -> None:
    home = await mock.hear("Home")
    await mock.activate_slowly()
    attempt = asyncio.create_task(join(port))
    await mock.asked("ActivateConnection")
    await mock.storm(home, 2000)
    await mock.step(*PREPARED, (70, 0))
    await mock.arrive(home)
    await mock.storm(home, 2020)  # 2020 is a multiple of the 101 strengths: the last one is 0
    assert (await attempt).online
    await until(lambda: port.link().signal == 0)
