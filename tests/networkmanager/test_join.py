"""Joining against a NetworkManager in memory: what works is kept, and whatever fails leaves all as it was."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import DBusError, Variant, unpack_variants

from appliance.network import verdict
from appliance.network.internet import InternetEvidence, Met
from appliance.network.networkmanager import names, radio
from appliance.network.networkmanager.backend import NetworkManagerNetwork
from appliance.network.networkmanager.names import DeviceState
from appliance.network.port import Credentials, Enterprise, JoinFailed, Security, StaticAddress
from appliance.network.wishes import SYSTEM_AUTHORITIES, credentials_of
from portal.forms import JoinForm
from portal.view import Network as PageNetwork
from tests.appliance.workshop import until
from tests.networkmanager.conftest import ScriptedProbe
from tests.networkmanager.fake import (
    NO_DHCP,
    NOT_FOUND,
    SAE_NOT_FOUND,
    SAE_TIMEOUT,
    UP,
    WLAN,
    WRONG_PASSWORD,
    FakeNetworkManager,
    Point,
    Step,
)
from tests.networkmanager.ssids import SSIDS
from tests.portal.test_accounts import CERTIFICATE

PASSWORD = "a secret of the house"
HOME = Credentials(b"Home", PASSWORD, Security.WPA2, False)
SAE = names.KEY_SAE


async def in_the_barn(nm: FakeNetworkManager) -> str:
    """A station that is connected with its stored network Barn; the profile's path."""
    nm.hear(Point(b"Barn", 60))
    barn = nm.store(b"Barn", 5)
    await nm.is_connected(barn)
    return barn


async def refused(port: NetworkManagerNetwork, credentials: Credentials) -> str:
    with pytest.raises(JoinFailed) as failure:
        await port.join(credentials)
    return failure.value.code


async def test_a_network_that_works_is_kept_on_the_disk(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    nm.hear(Point(b"Home"))
    link = await port.join(HOME)
    assert (link.kind, link.ssid, link.address, link.online) == ("wifi", b"Home", "192.168.1.50", True)
    assert (link.signal, link.signal_dbm) == (70, -65.0)
    assert await port.stored() == [b"Home"]
    assert len(nm.on_disk) == 1
    assert not nm.checkpoints


@pytest.mark.parametrize("ssid", SSIDS.values(), ids=SSIDS)
async def test_any_ssid_goes_from_the_air_into_the_profile_byte_by_byte(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, ssid: bytes
) -> None:
    nm.hear(Point(ssid))
    assert [network.ssid for network in await port.scan()] == [ssid]
    link = await port.join(replace(HOME, ssid=ssid))
    assert link.ssid == ssid
    assert await port.stored() == [ssid]
    assert [network.known for network in await port.scan()] == [True]


async def test_the_network_that_was_joined_last_is_the_first(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    for ssid in (b"One", b"Two", b"Three"):
        nm.hear(Point(ssid))
        await port.join(replace(HOME, ssid=ssid))
    assert await port.stored() == [b"Three", b"Two", b"One"]
    await port.join(replace(HOME, ssid=b"One"))
    assert await port.stored() == [b"One", b"Three", b"Two"]
    assert len(nm.profiles) == 3, "the older profile of the same network is gone"


FAILURES: list[tuple[str, Point | None, list[Step], Security, str]] = [
    ("wrong password", Point(b"Home"), WRONG_PASSWORD, Security.WPA2, verdict.WRONG_PASSWORD),
    ("WPA3, not found", Point(b"Home", rsn=SAE), SAE_NOT_FOUND, Security.WPA3, verdict.WRONG_PASSWORD),
    ("WPA3, time-out", Point(b"Home", rsn=SAE), SAE_TIMEOUT, Security.WPA3, verdict.WRONG_PASSWORD),
    ("far away", Point(b"Home", 9, rsn=SAE), SAE_NOT_FOUND, Security.WPA3, verdict.NOT_FOUND),
    ("not in the air", None, NOT_FOUND, Security.WPA2, verdict.NOT_FOUND),
    ("no address", Point(b"Home"), NO_DHCP, Security.WPA2, verdict.NO_ADDRESS),
    ("radio drawn", Point(b"Home"), [(40, 0), (50, 0), (120, 36)], Security.WPA2, verdict.NO_RADIO),
    ("somebody else", Point(b"Home"), [(40, 0), (50, 0), (120, 39)], Security.WPA2, verdict.BROKEN_OFF),
]


@pytest.mark.parametrize(
    ("point", "ends", "security", "code"), [f[1:] for f in FAILURES], ids=[f[0] for f in FAILURES]
)
async def test_a_failed_attempt_has_its_verdict_and_leaves_everything_as_it_was(
    nm: FakeNetworkManager,
    port: NetworkManagerNetwork,
    point: Point | None,
    ends: list[Step],
    security: Security,
    code: str,
) -> None:
    barn = await in_the_barn(nm)
    await until(lambda: port.link().online)
    if point is not None:
        nm.hear(point)
    nm.ends[b"Home"] = ends
    assert await refused(port, replace(HOME, security=security)) == code
    assert nm.connected_ssid() == b"Barn"
    assert set(nm.profiles) == {barn}
    assert not nm.checkpoints
    await until(lambda: port.link().ssid == b"Barn" and port.link().online)


BEHIND: list[tuple[Met, Met, str]] = [
    (Met.SILENT, Met.SILENT, verdict.NO_INTERNET),
    (Met.FOREIGN, Met.SILENT, verdict.LOGIN_PAGE),
    (Met.NO_NAME, Met.NO_NAME, verdict.NO_NAMES),
    (Met.SILENT, Met.NO_TRUST, verdict.NO_TRUST),
]


@pytest.mark.parametrize(("plain", "cloud", "code"), BEHIND)
async def test_a_network_without_internet_behind_it_is_not_kept(
    nm: FakeNetworkManager,
    port: NetworkManagerNetwork,
    probe: ScriptedProbe,
    plain: Met,
    cloud: Met,
    code: str,
) -> None:
    nm.hear(Point(b"Home"))
    probe.meets = InternetEvidence(plain, cloud)
    assert await refused(port, HOME) == code
    assert not nm.profiles
    assert set(probe.asked) == {"wlan0"}


@pytest.mark.parametrize("cloud", [Met.REFUSED, Met.ERROR, Met.WRONG_CLOCK])
async def test_a_network_is_not_blamed_for_the_cloud_nor_for_the_clock(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, probe: ScriptedProbe, cloud: Met
) -> None:
    nm.hear(Point(b"Home"))
    probe.meets = InternetEvidence(Met.SILENT, cloud)
    assert (await port.join(HOME)).online


async def test_networkmanager_may_know_of_a_login_page_itself(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, probe: ScriptedProbe
) -> None:
    nm.hear(Point(b"Home"))
    opinion = Variant("u", names.Connectivity.PORTAL)
    checks = Variant("b", True)
    nm.set(names.MANAGER_PATH, names.MANAGER, Connectivity=opinion, ConnectivityCheckEnabled=checks)
    probe.meets = InternetEvidence(Met.SILENT, Met.SILENT)
    assert await refused(port, HOME) == verdict.LOGIN_PAGE


async def test_a_mixed_network_is_tried_as_plain_wpa2_when_the_first_way_fails(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    nm.hear(Point(b"Home", rsn=names.KEY_PSK | SAE))
    nm.ends[b"Home"] = lambda profile: (
        UP if profile["802-11-wireless-security"].get("pmf") == 1 else SAE_TIMEOUT
    )
    assert (await port.join(HOME)).online
    assert unpack_variants(next(iter(nm.profiles.values())))["802-11-wireless-security"]["pmf"] == 1


@pytest.mark.parametrize("works", ["sae", "wpa-psk"])
async def test_a_hidden_wpa3_network_is_tried_as_wpa3_and_as_wpa2(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, works: str
) -> None:
    def ends(profile: dict[str, dict[str, object]]) -> list[Step]:
        nm.hear(Point(b"Secret", rsn=names.KEY_PSK | SAE))  # it answers when it is called by its name
        return UP if profile["802-11-wireless-security"]["key-mgmt"] == works else SAE_TIMEOUT

    nm.ends[b"Secret"] = ends
    await port.join(Credentials(b"Secret", PASSWORD, Security.WPA3, True))
    kept = unpack_variants(next(iter(nm.profiles.values())))
    assert kept["802-11-wireless"]["hidden"]
    assert kept["802-11-wireless-security"]["key-mgmt"] == works


async def test_a_hidden_network_that_does_not_answer_is_tried_once(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    nm.ends[b"Secret"] = NOT_FOUND
    assert await refused(port, Credentials(b"Secret", PASSWORD, Security.WPA3, True)) == verdict.NOT_FOUND
    assert nm.calls.count("ActivateConnection") == 1


async def test_an_account_and_a_static_address_are_stored(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    nm.hear(Point(b"Campus", rsn=names.KEY_8021X))
    account = Enterprise("peap", "me@example.org", unchecked=True)
    static = StaticAddress("10.0.0.5/16", "10.0.0.1")
    await port.join(Credentials(b"Campus", PASSWORD, Security.ENTERPRISE, False, account, static))
    kept = unpack_variants(next(iter(nm.profiles.values())))
    assert kept["802-1x"]["identity"] == "me@example.org"
    assert kept["ipv4"]["method"] == "manual"


@pytest.mark.parametrize("trust", ["pasted", "authorities", "unchecked"])
async def test_what_the_form_says_of_an_account_is_what_networkmanager_gets(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, tmp_path: Path, trust: str
) -> None:
    nm.hear(Point(b"Campus", rsn=names.KEY_8021X))
    fields = {
        "network": b"Campus".hex(),
        "identity": "me@example.org",
        "password": "short",
        "method": "ttls",
        "anonymous": "anonymous@example.org",
        "address": "10.0.0.5/255.255.0.0",
        "gateway": "10.0.0.1",
        "dns": "9.9.9.9, 10.0.0.1",
    }
    fields |= {
        "pasted": {"ca": CERTIFICATE, "domain": "example.org"},
        "authorities": {"domain": "example.org"},
        "unchecked": {"unchecked": "1"},
    }[trust]
    heard = PageNetwork(b"Campus", security="enterprise")
    request = JoinForm.read(fields).request(heard)
    await port.join(await asyncio.to_thread(credentials_of, request, tmp_path / "authorities"))
    kept = unpack_variants(next(iter(nm.profiles.values())))
    login = kept["802-1x"]
    assert (login["eap"], login["phase2-auth"], login["identity"]) == (["ttls"], "pap", "me@example.org")
    assert (login["password"], login["anonymous-identity"]) == ("short", "anonymous@example.org")
    assert kept["ipv4"]["address-data"] == [{"address": "10.0.0.5", "prefix": 16}]
    assert (kept["ipv4"]["gateway"], kept["ipv4"]["dns-data"]) == ("10.0.0.1", ["9.9.9.9", "10.0.0.1"])
    assert login.get("domain-suffix-match") == (None if trust == "unchecked" else "example.org")
    file = login.get("ca-cert", b"").removeprefix(b"file://").removesuffix(b"\0").decode()
    if trust == "pasted":
        assert Path(file).read_text().strip() == CERTIFICATE.strip()
        assert Path(file).stat().st_mode & 0o777 == 0o600
    else:
        assert file == (str(SYSTEM_AUTHORITIES) if trust == "authorities" else "")


BEFORE: list[tuple[str, Point | None, Credentials, str]] = [
    ("too short", None, replace(HOME, passphrase="seven77"), verdict.IMPOSSIBLE_PASSWORD),
    ("half a character", None, replace(HOME, passphrase="secret \udc80 word"), verdict.IMPOSSIBLE_PASSWORD),
    ("a zero", None, replace(HOME, passphrase="secret \0 word"), verdict.IMPOSSIBLE_PASSWORD),
    ("none for WPA3", None, Credentials(b"Home", None, Security.WPA3, False), verdict.IMPOSSIBLE_PASSWORD),
    ("WEP", None, replace(HOME, security=Security.WEP), verdict.UNSUPPORTED),
    ("no account", None, replace(HOME, security=Security.ENTERPRISE), verdict.UNSUPPORTED),
    ("no name", None, replace(HOME, ssid=b""), verdict.NOT_FOUND),
    ("name too long", None, replace(HOME, ssid=b"x" * 33), verdict.NOT_FOUND),
    ("only WEP there", Point(b"Home", rsn=0), HOME, verdict.UNSUPPORTED),
    ("only accounts there", Point(b"Home", rsn=names.KEY_8021X), HOME, verdict.UNSUPPORTED),
    ("an open twin", Point(b"Home", flags=0, rsn=0), HOME, verdict.NOT_FOUND),
    (
        "a password is needed",
        Point(b"Home"),
        Credentials(b"Home", None, Security.OPEN, False),
        verdict.WRONG_PASSWORD,
    ),
]


@pytest.mark.parametrize(
    ("point", "credentials", "code"), [b[1:] for b in BEFORE], ids=[b[0] for b in BEFORE]
)
async def test_what_cannot_work_is_refused_before_the_old_link_is_given_up(
    nm: FakeNetworkManager,
    port: NetworkManagerNetwork,
    point: Point | None,
    credentials: Credentials,
    code: str,
) -> None:
    if point is not None:
        nm.hear(point)
    assert await refused(port, credentials) == code
    assert "ActivateConnection" not in nm.calls
    assert "CheckpointCreate" not in nm.calls


async def test_the_network_vanishes_during_the_attempt(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    await in_the_barn(nm)
    nm.hear(Point(b"Home", rsn=SAE))
    nm.ends[b"Home"] = SAE_TIMEOUT
    nm.pause = lambda new: nm.silence(b"Home") if new == DeviceState.CONFIG else None
    assert await refused(port, replace(HOME, security=Security.WPA3)) == verdict.NOT_FOUND
    assert nm.connected_ssid() == b"Barn"


async def test_the_supplicant_tells_a_full_network_from_a_wrong_password(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    nm.hear(Point(b"Home", rsn=SAE))
    nm.ends[b"Home"] = SAE_TIMEOUT
    nm.pause = lambda _new: nm.supplicant_says(State="associating", AssocStatusCode=17)
    assert await refused(port, replace(HOME, security=Security.WPA3)) == verdict.REFUSED


async def test_a_cancelled_attempt_brings_the_old_network_back(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    barn = await in_the_barn(nm)
    nm.hear(Point(b"Home"))
    nm.ends[b"Home"] = [(40, 0), (50, 0)]
    attempt = asyncio.create_task(port.join(HOME))
    await until(lambda: nm.connected_ssid() == b"Home")
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert nm.connected_ssid() == b"Barn"
    assert set(nm.profiles) == {barn}


async def test_a_cancellation_during_the_internet_check_brings_the_old_network_back(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, probe: ScriptedProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    barn = await in_the_barn(nm)
    await until(lambda: port.link().online)
    nm.hear(Point(b"Home"))
    asked = asyncio.Event()

    async def never(_interface: str | None) -> InternetEvidence:
        asked.set()
        await asyncio.sleep(3600)
        raise AssertionError

    monkeypatch.setattr(probe, "look", never)
    attempt = asyncio.create_task(port.join(HOME))
    await asked.wait()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert nm.connected_ssid() == b"Barn"
    assert set(nm.profiles) == {barn}


async def test_a_cancellation_while_the_network_is_stored_cuts_nothing_in_two(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    older = nm.store(b"Home")
    nm.hear(Point(b"Home"))
    attempt = asyncio.create_task(port.join(HOME))
    keep = nm._on_Update2

    def cancelled_here(*arguments: Any) -> tuple[str, list[Any]]:
        attempt.cancel()
        return keep(*arguments)

    nm._on_Update2 = cancelled_here  # type: ignore[method-assign, assignment]
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert len(nm.on_disk) == 1
    assert older not in nm.on_disk
    assert not nm.checkpoints
    await until(lambda: port.link().online)


async def test_networkmanager_dies_during_the_attempt_and_nothing_is_left_when_it_is_back(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    barn = await in_the_barn(nm)
    nm.hear(Point(b"Home"))
    nm.ends[b"Home"] = [(40, 0), (50, 0)]
    attempt = asyncio.create_task(refused(port, HOME))
    await until(lambda: nm.connected_ssid() == b"Home")
    await nm.stop()
    assert await attempt == verdict.BROKEN_OFF
    await nm.restart()
    await until(lambda: set(nm.profiles) == {barn})
    assert (await port.join(replace(HOME, ssid=b"Barn"))).online


async def test_a_checkpoint_that_an_earlier_life_left_is_rolled_back_first(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    nm.hear(Point(b"Home"))
    leftover = names.MANAGER_PATH + "/Checkpoint/77"
    nm.checkpoints[leftover] = (None, set())
    nm.set(names.MANAGER_PATH, names.MANAGER, Checkpoints=Variant("ao", [leftover]))
    nm.refuse["CheckpointCreate"] = "org.freedesktop.NetworkManager.InvalidArguments"
    roll_back = nm._on_CheckpointRollback

    def then_free(*arguments: object) -> tuple[str, list[object]]:
        nm.refuse.pop("CheckpointCreate", None)
        return roll_back(*arguments)  # type: ignore[arg-type]

    nm._on_CheckpointRollback = then_free  # type: ignore[method-assign, assignment]
    assert (await port.join(HOME)).online
    assert leftover not in nm.checkpoints


DENIED = "org.freedesktop.NetworkManager.PermissionDenied"


@pytest.mark.parametrize("member", ["CheckpointCreate", "AddConnection2", "ActivateConnection", "Update2"])
async def test_a_missing_permission_is_named_and_nothing_is_left(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, member: str
) -> None:
    barn = await in_the_barn(nm)
    nm.hear(Point(b"Home"))
    nm.refuse[member] = DENIED
    assert await refused(port, HOME) == verdict.NOT_ALLOWED
    assert set(nm.profiles) == {barn}
    assert nm.connected_ssid() == b"Barn"


@pytest.mark.parametrize("member", ["CheckpointCreate", "AddConnection2", "ActivateConnection", "Update2"])
async def test_a_call_that_hangs_ends_the_attempt_and_nothing_is_left(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, impatient: None, member: str
) -> None:
    barn = await in_the_barn(nm)
    nm.hear(Point(b"Home"))
    nm.hang.add(member)
    assert await refused(port, HOME) == verdict.BROKEN_OFF
    assert set(nm.profiles) == {barn}
    assert nm.connected_ssid() == b"Barn"


async def test_a_radio_that_is_blocked_by_software_is_switched_on(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    nm.hear(Point(b"Home"))
    nm.set(names.MANAGER_PATH, names.MANAGER, WirelessEnabled=Variant("b", False))
    await port.scan()
    assert (await port.join(HOME)).online
    assert nm.objects[names.MANAGER_PATH][names.MANAGER]["WirelessEnabled"].value


async def test_a_radio_that_is_blocked_by_a_switch_is_said_to_be_missing(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    nm.set(names.MANAGER_PATH, names.MANAGER, WirelessHardwareEnabled=Variant("b", False))
    await port.scan()
    assert await refused(port, HOME) == verdict.NO_RADIO


async def test_a_radio_that_never_gets_ready_is_said_to_be_missing(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(radio, "WAKE_S", 0.2)
    nm.set(WLAN, names.DEVICE, State=Variant("u", DeviceState.UNAVAILABLE))
    await port.scan()
    assert await refused(port, HOME) == verdict.NO_RADIO


async def test_without_a_radio_nothing_is_heard_and_nothing_joined(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    nm._remove(WLAN)
    await port.scan()
    assert await port.scan(rescan=True) == []
    assert await refused(port, HOME) == verdict.NO_RADIO


@pytest.mark.parametrize("ends", [UP, WRONG_PASSWORD], ids=["works", "fails"])
async def test_a_password_is_in_no_command_line_and_no_log(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, caplog: pytest.LogCaptureFixture, ends: list[Step]
) -> None:
    caplog.set_level(logging.DEBUG)
    nm.hear(Point(b"Home"))
    nm.ends[b"Home"] = ends
    seen: list[str] = []
    nm.pause = lambda _new: seen.extend(command_lines())
    try:
        await port.join(HOME)
    except JoinFailed as failure:
        assert PASSWORD not in f"{failure!r} {failure} {failure.__context__!r}"
    assert seen
    assert not [line for line in seen if PASSWORD in line]
    assert PASSWORD not in caplog.text
    assert "Home" in caplog.text


async def test_an_error_of_networkmanager_cannot_bring_the_password_into_the_log(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    nm.hear(Point(b"Home"))

    def quotes(
        _path: str, profile: dict[str, dict[str, Variant]], *_rest: object
    ) -> tuple[str, list[object]]:
        psk = profile["802-11-wireless-security"]["psk"].value
        raise DBusError(f"{names.CONNECTION}.InvalidProperty", f"psk: '{psk}' is invalid")

    nm._on_AddConnection2 = quotes  # type: ignore[method-assign, assignment]
    assert await refused(port, HOME) == verdict.UNSUPPORTED
    assert "InvalidProperty" in caplog.text
    assert PASSWORD not in caplog.text


def command_lines() -> list[str]:
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(process.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:
            continue
    return lines
