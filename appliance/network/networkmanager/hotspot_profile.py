"""The profile, the channel and the address of the set-up hotspot: pure.

`ipv4.method` is manual and not shared, because shared would route strangers into the customer's network.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_interface

from dbus_fast import Variant

from appliance.network.networkmanager import names
from appliance.network.networkmanager.air import AccessPoint
from appliance.network.networkmanager.ladder import Rung
from appliance.network.networkmanager.profiles import TRIAL, Profile, addresses
from appliance.network.port import HotspotInfo

CHANNELS = {1: 2412, 6: 2437, 11: 2462}
"""The 2.4 GHz channels that do not overlap and are allowed everywhere, with their middle in MHz."""
REACH_MHZ = 20
"""Transmitters nearer than this disturb (a channel is 20 MHz wide)."""


def quietest_channel(points: Iterable[AccessPoint]) -> int:
    """1, 6 or 11: where the neighbours are fewest and weakest."""
    heard = [point for point in points if point.band == "2.4"]

    def noise(channel: int) -> tuple[float, int]:
        middle = CHANNELS[channel]
        overlap = ((1 - abs(p.frequency - middle) / REACH_MHZ) * p.signal for p in heard)
        return sum(part for part in overlap if part > 0), channel

    return min(CHANNELS, key=noise)


def subnet(taken: Iterable[str], before: IPv4Interface | None = None) -> IPv4Interface:
    """The hotspot's own address, 10.42.x.1/24, in a network that no other link of the station is in.

    The one of `before` if that still holds.
    """
    used = [ip_interface(text).network for text in taken if ":" not in text]
    numbered = [IPv4Interface(f"10.42.{third}.1/24") for third in range(256)]
    for own in [before, *numbered] if before else numbered:
        if not any(own.network.overlaps(other) for other in used if isinstance(other, IPv4Network)):
            return own
    return IPv4Interface("10.42.0.1/24")


def hotspot_profile(info: HotspotInfo, rung: Rung, channel: int, own: IPv4Interface, uuid: str) -> Profile:
    """A profile that is never activated by itself and has no way out of the station."""
    profile: Profile = {
        "connection": {
            "id": Variant("s", info.ssid),
            "uuid": Variant("s", uuid),
            "type": Variant("s", names.WIFI_TYPE),
            "autoconnect": Variant("b", False),
        },
        "user": {"data": Variant("a{ss}", {TRIAL: "hotspot"})},
        names.WIFI_TYPE: {
            "ssid": Variant("ay", info.ssid.encode()),
            "mode": Variant("s", "ap"),
            "band": Variant("s", "bg"),
            "channel": Variant("u", channel),
            "powersave": Variant("u", names.POWERSAVE_DISABLE),
            "ap-isolation": Variant("i", names.TERNARY_TRUE),
        },
        "ipv4": {
            "method": Variant("s", "manual"),
            "address-data": addresses(all_addresses(info, own)),
            "never-default": Variant("b", True),
        },
        "ipv6": {"method": Variant("s", "disabled")},
    }
    if rung is not Rung.OPEN:
        profile[f"{names.WIFI_TYPE}-security"] = _protection(info.passphrase, rung)
    return profile


def all_addresses(info: HotspotInfo, own: IPv4Interface) -> list[str]:
    """The hotspot's network first, then the address of the portal."""
    return [str(own), f"{IPv4Address(info.address)}/32"]


def _protection(passphrase: str, rung: Rung) -> dict[str, Variant]:
    return {
        "key-mgmt": Variant("s", "wpa-psk"),
        "proto": Variant("as", ["rsn" if rung is Rung.WPA2 else "wpa"]),
        "pairwise": Variant("as", ["ccmp"]),
        "group": Variant("as", ["ccmp"]),
        "pmf": Variant("i", names.PMF_DISABLE),
        "psk": Variant("s", passphrase),
    }
