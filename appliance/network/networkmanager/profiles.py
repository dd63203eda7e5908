"""Connection profiles as NetworkManager keeps them, made from credentials and read back: pure, no bus.

Source: nm-settings-dbus(5). All values are D-Bus variants; secrets are among them, so nothing here logs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from dbus_fast import Variant

from appliance.network.networkmanager import names
from appliance.network.networkmanager.air import AccessPoint
from appliance.network.port import Credentials, Enterprise, Security, StaticAddress

Profile = dict[str, dict[str, Variant]]

TRIAL = "meteor-appliance.trial"
"""The mark, among a profile's user data, of one that has not proved itself yet."""

OURS = "meteor-appliance.network"
"""The same for one that the station has stored."""

DHCP_TIMEOUT_S = 30
FOREVER = 0
"""connection.autoconnect-retries: a station on a roof never gives up on a known network."""
HIGHEST_PRIORITY = 999


class KeyManagement(Enum):
    """How to ask to be let in: `key-mgmt` of NetworkManager, and whether management frames are protected."""

    NONE = (None, names.PMF_DEFAULT)
    OWE = ("owe", names.PMF_DEFAULT)
    PSK = ("wpa-psk", names.PMF_DEFAULT)
    PSK_ONLY = ("wpa-psk", names.PMF_DISABLE)
    SAE = ("sae", names.PMF_DEFAULT)
    EAP = ("wpa-eap", names.PMF_DEFAULT)


def ways_in(
    credentials: Credentials, points: Iterable[AccessPoint], *, sae: bool = True
) -> list[KeyManagement]:
    """What to try, in this order. `points` are the transmitters of the network that were seen.

    NetworkManager offers SAE with `wpa-psk` too when the supplicant claims it, so a mixed network is first
    tried so. Radios that claim SAE and cannot do it are the reason for the second way: protected management
    frames off, which leaves plain WPA2 (raspberrypi/linux#7634). Where the radio says that it cannot (`sae`),
    that is the only one.
    """
    seen = list(points)
    if credentials.security is Security.OPEN:
        return [KeyManagement.OWE if seen and seen[0].owe else KeyManagement.NONE]
    if credentials.security is Security.ENTERPRISE:
        return [KeyManagement.EAP]
    if any(point.psk for point in seen):
        mixed = any(point.sae for point in seen)
        if mixed and not sae:
            return [KeyManagement.PSK_ONLY]
        return [KeyManagement.PSK, KeyManagement.PSK_ONLY] if mixed else [KeyManagement.PSK]
    if any(point.sae for point in seen):
        return [KeyManagement.SAE]
    if credentials.security is Security.WPA3:
        return [KeyManagement.SAE, KeyManagement.PSK]
    return [KeyManagement.PSK, KeyManagement.SAE] if sae else [KeyManagement.PSK]


def station_profile(
    credentials: Credentials, way: KeyManagement, uuid: str, *, priority: int | None
) -> Profile:
    """The profile for one network. Without `priority` it is a trial: never activated by itself."""
    profile: Profile = {
        "connection": _connection(credentials.ssid, uuid, priority),
        names.WIFI_TYPE: {
            "ssid": Variant("ay", credentials.ssid),
            "mode": Variant("s", "infrastructure"),
            "hidden": Variant("b", credentials.hidden),
            "powersave": Variant("u", names.POWERSAVE_DISABLE),
        },
        "ipv4": _ipv4(credentials.static),
        "ipv6": {"method": Variant("s", "auto")},
    }
    profile |= _security(credentials, way)
    mark = TRIAL if priority is None else OURS
    profile["user"] = {"data": Variant("a{ss}", {mark: "yes"})}
    return profile


def _connection(ssid: bytes, uuid: str, priority: int | None) -> dict[str, Variant]:
    return {
        "id": Variant("s", display_id(ssid)),
        "uuid": Variant("s", uuid),
        "type": Variant("s", names.WIFI_TYPE),
        "autoconnect": Variant("b", priority is not None),
        "autoconnect-priority": Variant("i", min(priority or 0, HIGHEST_PRIORITY)),
        "autoconnect-retries": Variant("i", FOREVER),
    }


def display_id(ssid: bytes) -> str:
    """A profile's name for people who look with nmcli; the SSID itself is kept as bytes beside it."""
    return "meteor " + ssid.decode("utf-8", "backslashreplace").replace("\0", "\\x00")


def _security(credentials: Credentials, way: KeyManagement) -> Profile:
    key_management, pmf = way.value
    if key_management is None:
        return {}
    section = {"key-mgmt": Variant("s", key_management)}
    if pmf != names.PMF_DEFAULT:
        section["pmf"] = Variant("i", pmf)
    profile: Profile = {f"{names.WIFI_TYPE}-security": section}
    if way is KeyManagement.EAP and credentials.enterprise is not None:
        profile["802-1x"] = _enterprise(credentials.enterprise, credentials.passphrase)
    elif credentials.passphrase is not None:
        section["psk"] = Variant("s", credentials.passphrase)
    return profile


def _enterprise(account: Enterprise, password: str | None) -> dict[str, Variant]:
    section = {
        "eap": Variant("as", [account.method]),
        "identity": Variant("s", account.identity),
        "password": Variant("s", password or ""),
        "phase2-auth": Variant("s", "mschapv2" if account.method == "peap" else "pap"),
    }
    if account.anonymous_identity:
        section["anonymous-identity"] = Variant("s", account.anonymous_identity)
    if account.domain:
        section["domain-suffix-match"] = Variant("s", account.domain)
    if account.ca_certificate:
        uri = b"file://" + str(Path(account.ca_certificate).absolute()).encode() + b"\0"
        section["ca-cert"] = Variant("ay", uri)
    return section


def _ipv4(static: StaticAddress | None) -> dict[str, Variant]:
    if static is None:
        return {"method": Variant("s", "auto"), "dhcp-timeout": Variant("i", DHCP_TIMEOUT_S)}
    section = {"method": Variant("s", "manual"), "address-data": addresses([static.address])}
    if static.gateway:
        section["gateway"] = Variant("s", static.gateway)
    if static.dns:
        section["dns-data"] = Variant("as", list(static.dns))
    return section


def addresses(with_prefix: Iterable[str]) -> Variant:
    """`ipv4.address-data` from texts like 10.42.0.1/24."""
    each = [IPv4Interface(text) for text in with_prefix]
    return Variant(
        "aa{sv}",
        [
            {"address": Variant("s", str(one.ip)), "prefix": Variant("u", one.network.prefixlen)}
            for one in each
        ],
    )


# --- reading ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredProfile:
    """What matters of a profile. `timestamp` is when it last worked, in Unix seconds."""

    path: str
    uuid: str
    kind: str
    ssid: bytes = b""
    mode: str = ""
    priority: int = 0
    timestamp: int = 0
    trial: bool = False
    ours: bool = False
    way: KeyManagement = KeyManagement.NONE

    @property
    def is_station(self) -> bool:
        """Whether it leads into somebody's Wi-Fi network and has proved itself."""
        return self.kind == names.WIFI_TYPE and self.mode == "infrastructure" and not self.trial


def stored_profile(path: str, settings: Mapping[str, Mapping[str, Any]]) -> StoredProfile:
    """From the answer of GetSettings, which holds no secrets."""
    connection = settings.get("connection", {})
    wireless = settings.get(names.WIFI_TYPE, {})
    marks = settings.get("user", {}).get("data", {})
    return StoredProfile(
        path=path,
        uuid=str(connection.get("uuid", "")),
        kind=str(connection.get("type", "")),
        ssid=bytes(wireless.get("ssid", b"")),
        mode=str(wireless.get("mode", "infrastructure")),
        priority=int(connection.get("autoconnect-priority", 0)),
        timestamp=int(connection.get("timestamp", 0)),
        trial=TRIAL in marks,
        ours=OURS in marks,
        way=_way_of(settings.get(f"{names.WIFI_TYPE}-security", {})),
    )


def _way_of(security: Mapping[str, Any]) -> KeyManagement:
    key_management = security.get("key-mgmt")
    if key_management == "wpa-psk" and security.get("pmf") == names.PMF_DISABLE:
        return KeyManagement.PSK_ONLY
    return next((way for way in KeyManagement if way.value[0] == key_management), KeyManagement.NONE)


def in_order(profiles: Iterable[StoredProfile]) -> list[StoredProfile]:
    """Profiles of networks, the most recently joined first, as NetworkManager itself prefers them."""
    return sorted(
        (profile for profile in profiles if profile.is_station),
        key=lambda profile: (-profile.priority, -profile.timestamp, profile.uuid),
    )


def next_priority(profiles: Iterable[StoredProfile]) -> int:
    """Higher than all others; at NetworkManager's limit the time of the last use decides."""
    return min(HIGHEST_PRIORITY, 1 + max((p.priority for p in profiles if p.is_station), default=0))
