"""What is in the air, from NetworkManager's access points: pure, from properties to transmitters.

An SSID is bytes; nothing here decodes one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from appliance.network.networkmanager import names
from appliance.network.port import Security

_FIVE_GHZ = 4900


@dataclass(frozen=True, slots=True)
class AccessPoint:
    """One transmitter. `frequency` in MHz, `signal` 0-100; `psk`, `sae`, `owe` are what it offers."""

    ssid: bytes
    signal: int
    frequency: int
    security: Security
    psk: bool = False
    sae: bool = False
    owe: bool = False

    @property
    def band(self) -> str:
        """Roughly where it transmits; 6 GHz counts as "5"."""
        return "2.4" if self.frequency < _FIVE_GHZ else "5"


def access_point(properties: Mapping[str, Any]) -> AccessPoint | None:
    """From the properties of an access point; None for one that cannot be joined or names itself not."""
    ssid = bytes(properties.get("Ssid", b""))
    joinable = properties.get("Mode", names.MODE_INFRASTRUCTURE) == names.MODE_INFRASTRUCTURE
    if not joinable or not ssid.strip(b"\0"):
        return None  # hidden ones send an empty name or one of zeros
    keys = properties.get("WpaFlags", 0) | properties.get("RsnFlags", 0)
    return AccessPoint(
        ssid,
        int(properties.get("Strength", 0)),
        int(properties.get("Frequency", 0)),
        security_of(properties.get("Flags", 0), keys),
        psk=bool(keys & names.KEY_PSK),
        sae=bool(keys & names.KEY_SAE),
        owe=bool(keys & names.KEY_OWE) and not keys & names.KEY_OWE_TM,
    )


def security_of(flags: int, keys: int) -> Security:
    """NM80211ApFlags and the union of WPA's and RSN's NM80211ApSecurityFlags.

    A mixed WPA2/WPA3 network counts as WPA2, because both ways lead in. OWE asks for no password: open.
    """
    if keys & names.KEY_PSK:
        return Security.WPA2
    if keys & names.KEY_SAE:
        return Security.WPA3
    if keys & (names.KEY_8021X | names.KEY_EAP_SUITE_B_192):
        return Security.ENTERPRISE
    if keys & (names.KEY_OWE | names.KEY_OWE_TM):
        return Security.OPEN
    return Security.WEP if flags & names.AP_PRIVACY else Security.OPEN


def open_networks(points: Iterable[AccessPoint], known: Collection[bytes]) -> list[bytes]:
    """Names under which every transmitter is open, the strongest first; never a twin of a known network."""
    heard = list(points)
    shut = {point.ssid for point in heard if point.security is not Security.OPEN} | set(known)
    ordered = sorted(heard, key=lambda point: (-point.signal, point.ssid))
    return list(dict.fromkeys(point.ssid for point in ordered if point.ssid not in shut))


def named(points: Iterable[AccessPoint], ssid: bytes) -> list[AccessPoint]:
    """The transmitters of one network, the strongest first."""
    return sorted((p for p in points if p.ssid == ssid), key=lambda point: -point.signal)
