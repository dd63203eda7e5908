"""The way to the world as NetworkManager's objects show it: pure, from the mirror to a link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from appliance.network.networkmanager import names
from appliance.network.networkmanager.mirror import Mirror
from appliance.network.networkmanager.names import ActiveState
from appliance.network.port import NO_LINK, Link

_MODEMS = {"gsm", "cdma"}
_WIRED = {names.ETHERNET_TYPE, "veth", "bridge", "bond", "team", "vlan", "bluetooth", *_MODEMS}
"""Whatever is not Wi-Fi and leads somewhere; tunnels and loopback do not count."""
_LEADING = {names.WIFI_TYPE, *_WIRED}


@dataclass(frozen=True, slots=True)
class Way:
    """A link that is up, with the interface and the profile that make it the same as a moment ago.

    `active` is the path of its active connection.
    """

    interface: str
    uuid: str
    link: Link
    active: str

    @property
    def identity(self) -> tuple[str, str]:
        """Equal for the same connection, whatever its signal or address is now."""
        return self.interface, self.uuid


def ways(mirror: Mirror) -> list[Way]:
    """What is up, the best first: what has the default route, and a cable before a radio.

    A hotspot of ours is no way.
    """
    found = []
    for path, active in mirror.of(names.ACTIVE):
        kind = active.get("Type")
        if active.get("State") != ActiveState.ACTIVATED or kind not in _LEADING:
            continue
        if way := _way(mirror, path):
            routed = bool(active.get("Default") or active.get("Default6"))
            found.append(((not routed, kind == names.WIFI_TYPE, path), way))
    return [way for _, way in sorted(found, key=lambda each: each[0])]


def was_taken_away(mirror: Mirror, way: Way) -> bool:
    """Whether a way is gone that NetworkManager never ended: so it does when it is about to end itself."""
    active = mirror.get(way.active, names.ACTIVE)
    return not active or active.get("State") == ActiveState.ACTIVATED


def best_way(mirror: Mirror) -> Way | None:
    """The first of `ways`."""
    return next(iter(ways(mirror)), None)


def way_on(mirror: Mirror, interface: str | None) -> Way | None:
    """The link that is up on one interface."""
    return next((way for way in ways(mirror) if way.interface == interface), None)


def _way(mirror: Mirror, path: str) -> Way | None:
    active = mirror.get(path, names.ACTIVE)
    device_path = next(iter(active.get("Devices", [])), None)
    device = mirror.get(device_path, names.DEVICE)
    if not device:
        return None
    wireless = mirror.get(device_path, names.WIRELESS)
    if wireless and wireless.get("Mode", names.MODE_INFRASTRUCTURE) != names.MODE_INFRASTRUCTURE:
        return None
    point = mirror.get(wireless.get("ActiveAccessPoint"), names.ACCESS_POINT)
    strength = int(point["Strength"]) if "Strength" in point else None
    link = Link(
        kind=_kind(active.get("Type")),
        ssid=bytes(point.get("Ssid", b"")) or None,
        address=_address(mirror, active.get("Ip4Config"), active.get("Ip6Config")),
        mac=device.get("HwAddress") or None,
        signal=strength,
        # NetworkManager's scale read backwards: 0 is -100 dBm, 100 is -50 dBm.
        signal_dbm=None if strength is None else strength / 2 - 100,
    )
    return Way(str(device.get("Interface", "")), str(active.get("Uuid", "")), link, path)


def _kind(connection: object) -> Literal["wifi", "ethernet", "cellular"]:
    if connection == names.WIFI_TYPE:
        return "wifi"
    return "cellular" if connection in _MODEMS else "ethernet"


def _address(mirror: Mirror, ip4: str | None, ip6: str | None) -> str | None:
    for path, interface in ((ip4, names.IP4_CONFIG), (ip6, names.IP6_CONFIG)):
        for each in mirror.get(path, interface).get("AddressData", []):
            address = str(each.get("address", ""))
            if address and not address.lower().startswith("fe80:"):
                return address
    return None


def link_of(way: Way | None, *, online: bool) -> Link:
    """The link of the port for a way."""
    if way is None:
        return NO_LINK
    link = way.link
    return Link(link.kind, link.ssid, link.address, link.mac, link.signal, link.signal_dbm, online)
