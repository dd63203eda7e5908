"""The pure part of the NetworkManager backend: what is heard, tried, and meant by a failure; by tables."""

from __future__ import annotations

from typing import Any

import pytest
from dbus_fast import unpack_variants

from appliance.network import verdict
from appliance.network.heard import networks
from appliance.network.networkmanager import names
from appliance.network.networkmanager.air import AccessPoint, access_point, security_of
from appliance.network.networkmanager.names import Reason
from appliance.network.networkmanager.profiles import (
    KeyManagement,
    StoredProfile,
    in_order,
    next_priority,
    station_profile,
    stored_profile,
    ways_in,
)
from appliance.network.networkmanager.reasons import Evidence, code_of
from appliance.network.port import Credentials, Enterprise, Security, StaticAddress
from tests.networkmanager.fake import NO_DHCP, NOT_FOUND, SAE_NOT_FOUND, SAE_TIMEOUT, WRONG_PASSWORD
from tests.networkmanager.ssids import SSIDS

PSK, SAE, EAP = names.KEY_PSK, names.KEY_SAE, names.KEY_8021X


# --- the air ------------------------------------------------------------------------------------------------

SECURITY = [
    ("open", 0, 0, Security.OPEN),
    ("WEP", names.AP_PRIVACY, 0, Security.WEP),
    ("WPA2", names.AP_PRIVACY, 0x88 | PSK, Security.WPA2),
    ("WPA1 with TKIP", names.AP_PRIVACY, 0x44 | PSK, Security.WPA2),
    ("WPA2 and WPA3", names.AP_PRIVACY, 0x88 | PSK | SAE, Security.WPA2),
    ("WPA3 alone", names.AP_PRIVACY, 0x88 | SAE, Security.WPA3),
    ("enterprise", names.AP_PRIVACY, 0x88 | EAP, Security.ENTERPRISE),
    ("enterprise, 192 bits", names.AP_PRIVACY, names.KEY_EAP_SUITE_B_192, Security.ENTERPRISE),
    ("OWE", names.AP_PRIVACY, 0x88 | names.KEY_OWE, Security.OPEN),
    ("open with an OWE twin", 0, names.KEY_OWE_TM, Security.OPEN),
]


@pytest.mark.parametrize(
    ("flags", "keys", "expected"), [s[1:] for s in SECURITY], ids=[s[0] for s in SECURITY]
)
def test_security_is_read_from_the_flags(flags: int, keys: int, expected: Security) -> None:
    assert security_of(flags, keys) is expected


def heard(ssid: bytes, strength: int = 50, frequency: int = 2412, **more: Any) -> AccessPoint | None:
    properties = {"Ssid": ssid, "Strength": strength, "Frequency": frequency, "RsnFlags": PSK, "Flags": 1}
    return access_point(properties | more)


@pytest.mark.parametrize("ssid", [b"", b"\0", b"\0" * 8])
def test_a_hidden_network_is_not_in_the_list(ssid: bytes) -> None:
    assert heard(ssid) is None


@pytest.mark.parametrize("mode", [1, 3, 4])
def test_what_is_no_access_point_is_not_in_the_list(mode: int) -> None:
    assert heard(b"Home", Mode=mode) is None


@pytest.mark.parametrize(
    ("frequency", "band"), [(2412, "2.4"), (2484, "2.4"), (5180, "5"), (5825, "5"), (6115, "5")]
)
def test_the_band_follows_from_the_frequency(frequency: int, band: str) -> None:
    assert AccessPoint(b"x", 1, frequency, Security.OPEN).band == band


@pytest.mark.parametrize("ssid", SSIDS.values(), ids=SSIDS)
def test_an_ssid_is_the_same_bytes_from_the_air_to_the_profile_and_back(ssid: bytes) -> None:
    point = heard(ssid)
    assert point is not None
    network = networks([point], {ssid})[0]
    credentials = Credentials(network.ssid, "long enough", network.security, False)
    profile = station_profile(credentials, KeyManagement.PSK, "u-u-i-d", priority=3)
    back = stored_profile("/1", unpack_variants(profile))
    assert back.ssid == network.ssid == ssid
    assert network.known


# --- profiles -----------------------------------------------------------------------------------------------


def point(*, psk: bool = False, sae: bool = False, owe: bool = False) -> AccessPoint:
    return AccessPoint(b"x", 50, 2412, Security.OPEN, psk, sae, owe)


WAYS = [
    (Security.OPEN, [], [KeyManagement.NONE]),
    (Security.OPEN, [point()], [KeyManagement.NONE]),
    (Security.OPEN, [point(owe=True)], [KeyManagement.OWE]),
    (Security.WPA2, [point(psk=True)], [KeyManagement.PSK]),
    (Security.WPA2, [point(psk=True, sae=True)], [KeyManagement.PSK, KeyManagement.PSK_ONLY]),
    (Security.WPA3, [point(psk=True, sae=True)], [KeyManagement.PSK, KeyManagement.PSK_ONLY]),
    (Security.WPA2, [point(sae=True)], [KeyManagement.SAE]),
    (Security.WPA3, [point(sae=True)], [KeyManagement.SAE]),
    (Security.WPA3, [], [KeyManagement.SAE, KeyManagement.PSK]),
    (Security.WPA2, [], [KeyManagement.PSK, KeyManagement.SAE]),
    (Security.ENTERPRISE, [point()], [KeyManagement.EAP]),
]


@pytest.mark.parametrize(("security", "points", "expected"), WAYS)
def test_the_ways_in_follow_from_what_the_network_offers(
    security: Security, points: list[AccessPoint], expected: list[KeyManagement]
) -> None:
    assert ways_in(Credentials(b"x", "long enough", security, not points), points) == expected


def plain(
    credentials: Credentials, way: KeyManagement, priority: int | None = 1
) -> dict[str, dict[str, Any]]:
    profile: dict[str, dict[str, Any]] = unpack_variants(
        station_profile(credentials, way, "id", priority=priority)
    )
    return profile


HOME = Credentials(b"Home", "a secret word", Security.WPA2, False)
SECURITY_SECTION = "802-11-wireless-security"


def test_a_trial_is_never_activated_by_itself_and_a_kept_profile_for_ever() -> None:
    trial, kept = plain(HOME, KeyManagement.PSK, None), plain(HOME, KeyManagement.PSK, 4)
    assert not trial["connection"]["autoconnect"]
    assert stored_profile("/1", trial).trial
    assert kept["connection"]["autoconnect"]
    assert kept["connection"]["autoconnect-retries"] == 0
    assert kept["connection"]["autoconnect-priority"] == 4
    assert not stored_profile("/1", kept).trial


def test_plain_wpa2_is_asked_for_by_switching_protected_frames_off() -> None:
    assert "pmf" not in plain(HOME, KeyManagement.PSK)[SECURITY_SECTION]
    assert plain(HOME, KeyManagement.PSK_ONLY)[SECURITY_SECTION]["pmf"] == names.PMF_DISABLE


def test_an_open_network_has_no_security_section() -> None:
    assert SECURITY_SECTION not in plain(Credentials(b"x", None, Security.OPEN, False), KeyManagement.NONE)


def test_an_account_goes_into_the_profile_with_its_certificate() -> None:
    account = Enterprise("ttls", "me@example.org", "anonymous@example.org", "/etc/ca.pem", "example.org")
    credentials = Credentials(b"Campus", "word", Security.ENTERPRISE, False, account)
    section = plain(credentials, KeyManagement.EAP)["802-1x"]
    assert section == {
        "eap": ["ttls"],
        "identity": "me@example.org",
        "password": "word",
        "phase2-auth": "pap",
        "anonymous-identity": "anonymous@example.org",
        "domain-suffix-match": "example.org",
        "ca-cert": b"file:///etc/ca.pem\0",
    }


def test_an_account_without_a_certificate_must_be_wanted_so() -> None:
    with pytest.raises(ValueError, match="ca_certificate"):
        Enterprise("peap", "me")
    account = Enterprise("peap", "me", unchecked=True)
    section = plain(Credentials(b"x", "w", Security.ENTERPRISE, False, account), KeyManagement.EAP)["802-1x"]
    assert "ca-cert" not in section
    assert section["phase2-auth"] == "mschapv2"


def test_a_static_address_goes_into_the_profile() -> None:
    static = StaticAddress("192.168.1.50/24", "192.168.1.1", ("192.168.1.1", "192.168.1.2"))
    section = plain(Credentials(b"x", "long enough", Security.WPA2, False, static=static), KeyManagement.PSK)[
        "ipv4"
    ]
    assert section == {
        "method": "manual",
        "address-data": [{"address": "192.168.1.50", "prefix": 24}],
        "gateway": "192.168.1.1",
        "dns-data": ["192.168.1.1", "192.168.1.2"],
    }


@pytest.mark.parametrize(
    ("address", "gateway", "dns", "field"),
    [
        ("192.168.1.50", None, (), "address"),
        ("192.168.1.50/0", None, (), "address"),
        ("fe80::1/64", None, (), "address"),
        ("nonsense/24", None, (), "address"),
        ("192.168.1.50/24", "router", (), "gateway"),
        ("192.168.1.50/24", "192.168.1.1", ("dns",), "dns"),
    ],
)
def test_a_wrong_static_address_names_its_field(
    address: str, gateway: str | None, dns: tuple[str, ...], field: str
) -> None:
    with pytest.raises(ValueError, match=f"^{field}: .* Write it like"):
        StaticAddress(address, gateway, dns)


def test_no_password_is_in_the_repr_of_credentials() -> None:
    account = Enterprise("peap", "me", unchecked=True)
    assert "a secret word" not in repr(
        Credentials(b"x", "a secret word", Security.ENTERPRISE, False, account)
    )


def stored(ssid: bytes, priority: int, timestamp: int = 0, **more: Any) -> StoredProfile:
    return StoredProfile(
        f"/{ssid!r}", ssid.hex(), names.WIFI_TYPE, ssid, "infrastructure", priority, timestamp, **more
    )


def test_networks_are_in_the_order_of_their_priority_and_then_of_their_last_use() -> None:
    profiles = [stored(b"a", 1), stored(b"b", 3), stored(b"c", 3, 9), stored(b"t", 9, trial=True)]
    profiles.append(StoredProfile("/e", "e", names.ETHERNET_TYPE))
    profiles.append(StoredProfile("/h", "h", names.WIFI_TYPE, b"Meteor", "ap", 99))
    assert [each.ssid for each in in_order(profiles)] == [b"c", b"b", b"a"]
    assert next_priority(profiles) == 4


def test_a_priority_never_exceeds_what_networkmanager_takes() -> None:
    assert next_priority([stored(b"a", 999)]) == 999
    assert next_priority([]) == 1


@pytest.mark.parametrize("way", list(KeyManagement))
def test_the_way_in_is_read_back_from_a_stored_profile(way: KeyManagement) -> None:
    assert stored_profile("/1", plain(HOME, way)).way is way


def test_a_foreign_profile_is_read_without_a_complaint() -> None:
    assert stored_profile("/1", {}) == StoredProfile("/1", "", "", mode="infrastructure")
    foreign: dict[str, dict[str, Any]] = {
        "connection": {"uuid": "u", "type": names.WIFI_TYPE},
        names.WIFI_TYPE: {"ssid": b"x"},
    }
    assert stored_profile("/1", foreign).is_station


# --- verdicts -----------------------------------------------------------------------------------------------

PSK_WAY, SAE_WAY, EAP_WAY, OPEN_WAY = (
    KeyManagement.PSK,
    KeyManagement.SAE,
    KeyManagement.EAP,
    KeyManagement.NONE,
)

SILENT = [(40, 0), (50, 0), (60, 0), (40, 0), (50, 0), (120, Reason.SSID_NOT_FOUND)]

CODES: list[tuple[str, Evidence, str]] = [
    ("WPA2, wrong password", Evidence(PSK_WAY, tuple(WRONG_PASSWORD), 70), verdict.WRONG_PASSWORD),
    ("the same, weak signal", Evidence(PSK_WAY, tuple(WRONG_PASSWORD), 10), verdict.WRONG_PASSWORD),
    ("WPA3, told as not found", Evidence(SAE_WAY, tuple(SAE_NOT_FOUND), 70, True), verdict.WRONG_PASSWORD),
    ("WPA3, told as time-out", Evidence(SAE_WAY, tuple(SAE_TIMEOUT), 70, True), verdict.WRONG_PASSWORD),
    ("mixed, SAE failed", Evidence(PSK_WAY, tuple(SAE_NOT_FOUND), 70, True), verdict.WRONG_PASSWORD),
    ("WPA3, too far away", Evidence(SAE_WAY, tuple(SAE_NOT_FOUND), 20, True), verdict.NOT_FOUND),
    ("WPA3, vanished", Evidence(SAE_WAY, tuple(SAE_TIMEOUT), None, True), verdict.NOT_FOUND),
    ("WPA3, full", Evidence(SAE_WAY, tuple(SAE_TIMEOUT), 70, True, assoc_status=17), verdict.REFUSED),
    (
        "WPA3, the network says so",
        Evidence(SAE_WAY, tuple(SAE_NOT_FOUND), None, auth_status=15),
        verdict.WRONG_PASSWORD,
    ),
    (
        "the handshake ended in the middle",
        Evidence(PSK_WAY, ((50, 0), (120, 8)), 70, supplicant=frozenset({"4way_handshake"})),
        verdict.WRONG_PASSWORD,
    ),
    (
        "deauthenticated for the key",
        Evidence(PSK_WAY, ((50, 0), (120, 8)), 70, disconnect_reason=15),
        verdict.WRONG_PASSWORD,
    ),
    (
        "WPA2, switched off since the scan",
        Evidence(PSK_WAY, tuple(SILENT), 100, supplicant=frozenset({"scanning", "authenticating"})),
        verdict.NOT_FOUND,
    ),
    (
        "WPA3, wrong password, as hostapd answers it",
        Evidence(SAE_WAY, tuple(SILENT), 100, True, frozenset({"authenticating"}), auth_status=1),
        verdict.WRONG_PASSWORD,
    ),
    (
        "WPA3, switched off since the scan",
        Evidence(SAE_WAY, tuple(SILENT), 100, True, frozenset({"authenticating"})),
        verdict.NOT_FOUND,
    ),
    ("no such network", Evidence(PSK_WAY, tuple(NOT_FOUND)), verdict.NOT_FOUND),
    ("WPA2 in the air and never found", Evidence(PSK_WAY, tuple(NOT_FOUND), 70), verdict.REFUSED),
    ("no address", Evidence(PSK_WAY, tuple(NO_DHCP), 70), verdict.NO_ADDRESS),
    (
        "address in use",
        Evidence(PSK_WAY, ((70, 0), (120, Reason.IP_ADDRESS_DUPLICATE)), 70),
        verdict.NO_ADDRESS,
    ),
    ("full", Evidence(PSK_WAY, ((50, 0), (120, 8)), 70, assoc_status=17), verdict.REFUSED),
    ("busy", Evidence(PSK_WAY, ((50, 0), (120, 8)), 70, disconnect_reason=5), verdict.REFUSED),
    ("open, thrown out", Evidence(OPEN_WAY, ((50, 0), (120, 8)), 70), verdict.REFUSED),
    ("open, time-out far away", Evidence(OPEN_WAY, ((50, 0), (120, 11)), 12), verdict.NOT_FOUND),
    ("account, wrong password", Evidence(EAP_WAY, ((50, 0), (60, 8), (120, 7)), 70), verdict.WRONG_PASSWORD),
    (
        "account refused",
        Evidence(EAP_WAY, ((50, 0), (120, 8)), 70, disconnect_reason=23),
        verdict.WRONG_PASSWORD,
    ),
    ("supplicant cannot", Evidence(SAE_WAY, ((50, 0), (120, 9)), 70), verdict.UNSUPPORTED),
    ("radio drawn", Evidence(PSK_WAY, ((50, 0), (10, Reason.REMOVED)), 70), verdict.NO_RADIO),
    ("firmware missing", Evidence(PSK_WAY, ((20, Reason.FIRMWARE_MISSING),)), verdict.NO_RADIO),
    (
        "another was activated",
        Evidence(PSK_WAY, ((50, 0), (110, Reason.NEW_ACTIVATION)), 70),
        verdict.BROKEN_OFF,
    ),
    (
        "somebody pressed disconnect",
        Evidence(PSK_WAY, ((50, 0), (110, Reason.USER_REQUESTED)), 70),
        verdict.BROKEN_OFF,
    ),
    ("nothing known, in the air", Evidence(PSK_WAY, (), 70), verdict.REFUSED),
    ("nothing known, not in the air", Evidence(PSK_WAY), verdict.NOT_FOUND),
]


@pytest.mark.parametrize(("seen", "code"), [c[1:] for c in CODES], ids=[c[0] for c in CODES])
def test_the_verdict_of_an_attempt(seen: Evidence, code: str) -> None:
    assert code_of(seen) == code
