"""A NetworkManager in memory on a real bus: it answers, signals and fails as the real one was seen to do.

The sequences of states and reasons are those that NetworkManager 1.52 sent over simulated radios.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dbus_fast import Variant, unpack_variants

from appliance.network.networkmanager import names
from appliance.network.networkmanager.names import ActiveState, DeviceState, Reason
from tests.networkmanager.exported import Exported

Step = tuple[int, int]
"""A new state of the device and the reason for it."""

WLAN = names.MANAGER_PATH + "/Devices/3"
MODEM = names.MANAGER_PATH + "/Devices/9"
ETH = names.MANAGER_PATH + "/Devices/2"

UP: list[Step] = [(state, 0) for state in (40, 50, 60, 50, 70, 80, 90, 100)]
WRONG_PASSWORD: list[Step] = [(40, 0), (50, 0), (60, 0), (50, 0), (60, 8), (120, 7), (30, 0)]
SAE_NOT_FOUND: list[Step] = [(40, 0), (50, 0), (120, 53), (30, 0)]
SAE_TIMEOUT: list[Step] = [(40, 0), (50, 0), (120, 11), (30, 0)]
NO_DHCP: list[Step] = [(40, 0), (50, 0), (70, 0), (120, 5), (30, 0)]
NOT_FOUND: list[Step] = [(40, 0), (50, 0), (120, 53), (30, 0)]


@dataclass
class Point:
    """A transmitter in the air of this world."""

    ssid: bytes
    strength: int = 70
    frequency: int = 2437
    flags: int = names.AP_PRIVACY
    wpa: int = 0
    rsn: int = names.KEY_PSK
    mode: int = names.MODE_INFRASTRUCTURE


class FakeNetworkManager(Exported):
    """`ends` says how an attempt with a network goes; what is not in it works."""

    def __init__(self, address: str) -> None:
        super().__init__(address, names.SERVICE)
        self.profiles: dict[str, dict[str, dict[str, Variant]]] = {}
        self.on_disk: set[str] = set()
        self.ends: dict[bytes, list[Step] | Callable[[dict[str, Any]], list[Step]]] = {}
        self.checkpoints: dict[str, tuple[str | None, set[str]]] = {}
        self.modem_works, self.dialled = True, 0
        self.pause: Callable[[int], object] | None = None
        self._numbers = itertools.count(1)
        self._reset_objects()

    # --- its life -------------------------------------------------------------------------------------------

    async def restart(self) -> None:
        """Stops, forgets what was only in memory of the process, and comes back."""
        await self.stop()
        points = self.points()
        self._reset_objects()
        for point in points:
            self.hear(point)
        await self.start()

    def _reset_objects(self) -> None:
        self.objects = {
            names.MANAGER_PATH: {
                names.MANAGER: {
                    "WirelessEnabled": Variant("b", True),
                    "WirelessHardwareEnabled": Variant("b", True),
                    "Connectivity": Variant("u", 0),
                    "Checkpoints": Variant("ao", []),
                    "PrimaryConnection": Variant("o", "/"),
                }
            },
            names.SETTINGS_PATH: {names.SETTINGS: {"Connections": Variant("ao", sorted(self.profiles))}},
            WLAN: {
                names.DEVICE: self._device("wlan0", names.WIFI_DEVICE, DeviceState.DISCONNECTED),
                names.WIRELESS: {
                    "AccessPoints": Variant("ao", []),
                    "ActiveAccessPoint": Variant("o", "/"),
                    "LastScan": Variant("x", 0),
                    "Mode": Variant("u", names.MODE_INFRASTRUCTURE),
                },
            },
        } | {path: {names.CONNECTION: {}} for path in self.profiles}

    @staticmethod
    def _device(interface: str, kind: int, state: int) -> dict[str, Variant]:
        return {
            "Interface": Variant("s", interface),
            "DeviceType": Variant("u", kind),
            "State": Variant("u", state),
            "ActiveConnection": Variant("o", "/"),
            "HwAddress": Variant("s", "02:00:00:00:00:03"),
        }

    # --- the world, for tests -------------------------------------------------------------------------------

    def hear(self, point: Point) -> str:
        """A transmitter comes into the air."""
        path = f"{names.MANAGER_PATH}/AccessPoint/{next(self._numbers)}"
        properties = {
            "Ssid": Variant("ay", point.ssid),
            "Strength": Variant("y", point.strength),
            "Frequency": Variant("u", point.frequency),
            "Flags": Variant("u", point.flags),
            "WpaFlags": Variant("u", point.wpa),
            "RsnFlags": Variant("u", point.rsn),
            "Mode": Variant("u", point.mode),
        }
        self._add(path, {names.ACCESS_POINT: properties})
        self._list_points()
        return path

    def rename(self, interface: str) -> None:
        """The radio's interface gets another name."""
        self.set(WLAN, names.DEVICE, Interface=Variant("s", interface))

    def silence(self, ssid: bytes) -> None:
        """All transmitters of a network go off."""
        for path in self._paths(names.ACCESS_POINT):
            if bytes(self.objects[path][names.ACCESS_POINT]["Ssid"].value) == ssid:
                self._remove(path)
        self._list_points()

    def points(self) -> list[Point]:
        """Every transmitter in the air."""
        return [self.point_of(path) for path in self._paths(names.ACCESS_POINT)]

    def point_of(self, path: str) -> Point:
        """A transmitter as it was put in."""
        known = {key: value.value for key, value in self.objects[path][names.ACCESS_POINT].items()}
        return Point(
            bytes(known["Ssid"]),
            known["Strength"],
            known["Frequency"],
            known["Flags"],
            known["WpaFlags"],
            known["RsnFlags"],
            known["Mode"],
        )

    def store(self, ssid: bytes, priority: int = 0, *, key: str = "wpa-psk", **more: Any) -> str:
        """A profile that is on the disk already; its path."""
        connection = {
            "id": Variant("s", ssid.decode("utf-8", "replace")),
            "uuid": Variant("s", f"00000000-0000-4000-8000-{next(self._numbers):012d}"),
            "type": Variant("s", names.WIFI_TYPE),
            "autoconnect-priority": Variant("i", priority),
        }
        wireless = {"ssid": Variant("ay", ssid), "mode": Variant("s", more.pop("mode", "infrastructure"))}
        path = self._new_profile(
            {
                "connection": connection,
                names.WIFI_TYPE: wireless,
                f"{names.WIFI_TYPE}-security": {"key-mgmt": Variant("s", key)},
            }
        )
        self.on_disk.add(path)
        return path

    def store_modem(self) -> str:
        """A modem's profile on the disk; its path."""
        connection = {
            "id": Variant("s", "mobile"),
            "uuid": Variant("s", "00000000-0000-4000-9000-000000000000"),
            "type": Variant("s", "gsm"),
        }
        path = self._new_profile({"connection": connection, "gsm": {"apn": Variant("s", "internet")}})
        self.on_disk.add(path)
        return path

    def plug(self) -> None:
        """A cable with an address and a default route comes."""
        self._add(ETH, {names.DEVICE: self._device("eth0", 1, DeviceState.ACTIVATED)})
        self._show_active("/", ETH, "cable", names.ETHERNET_TYPE, ActiveState.ACTIVATED)

    def unplug(self) -> None:
        """The cable is drawn."""
        self._remove(self.objects[ETH][names.DEVICE]["ActiveConnection"].value)
        self._remove(ETH)

    def connected_ssid(self) -> bytes | None:
        """What the radio is connected with."""
        profile = self._profile_on_wlan()
        return bytes(self.profiles[profile][names.WIFI_TYPE]["ssid"].value) if profile else None

    async def is_connected(self, path: str) -> None:
        """Connects with a profile, without anybody's wish."""
        await self._run(path, self._begin(path), UP)

    def supplicant_says(self, **changed: Any) -> None:
        """A signal of wpa_supplicant, which has another name on the same bus."""
        body = [names.SUPPLICANT_INTERFACE, {key: _guess(value) for key, value in changed.items()}, []]
        self._signal(
            "/fi/w1/wpa_supplicant1/Interfaces/0", names.PROPERTIES, "PropertiesChanged", "sa{sv}as", body
        )

    # --- answering ------------------------------------------------------------------------------------------

    def _on_ListConnections(self, _path: str) -> tuple[str, list[Any]]:
        return "ao", [sorted(self.profiles)]

    def _on_GetSettings(self, path: str) -> tuple[str, list[Any]]:
        secret = {"psk", "password"}
        shown = {
            section: {key: value for key, value in values.items() if key not in secret}
            for section, values in self.profiles[path].items()
        }
        return "a{sa{sv}}", [shown]

    def _on_AddConnection2(self, _path: str, profile: Any, flags: int, _args: Any) -> tuple[str, list[Any]]:
        assert flags & names.IN_MEMORY
        return "oa{sv}", [self._new_profile(profile), {}]

    def _on_Update2(self, path: str, profile: Any, flags: int, _args: Any) -> tuple[str, list[Any]]:
        assert flags == names.TO_DISK
        self.profiles[path] = profile
        self.on_disk.add(path)
        return "a{sv}", [{}]

    def _on_Delete(self, path: str) -> tuple[str, list[Any]]:
        self._forget(path)
        return "", []

    def _on_ActivateConnection(
        self, _path: str, profile: str, _device: str, _ap: str
    ) -> tuple[str, list[Any]]:
        settings: dict[str, Any] = unpack_variants(self.profiles[profile])
        if settings["connection"]["type"] == "gsm":
            return "o", [self._dial(profile)]
        ends = self.ends.get(bytes(settings[names.WIFI_TYPE]["ssid"]), UP)
        active = self._begin(profile)
        self._spawn(self._run(profile, active, ends if isinstance(ends, list) else ends(settings)))
        return "o", [active]

    def _dial(self, profile: str) -> str:
        state = ActiveState.ACTIVATED if self.modem_works else ActiveState.DEACTIVATED
        self.dialled += 1
        self._add(MODEM, {names.DEVICE: self._device("wwan0", 8, DeviceState.ACTIVATED)})
        return self._show_active(profile, MODEM, "modem", "gsm", state)

    def _on_CheckpointCreate(
        self, _path: str, _devices: Any, _timeout: int, flags: int
    ) -> tuple[str, list[Any]]:
        assert flags & names.DELETE_NEW_CONNECTIONS
        path = f"{names.MANAGER_PATH}/Checkpoint/{next(self._numbers)}"
        self.checkpoints[path] = (self._profile_on_wlan(), set(self.profiles))
        return "o", [path]

    def _on_CheckpointDestroy(self, _path: str, checkpoint: str) -> tuple[str, list[Any]]:
        del self.checkpoints[checkpoint]
        return "", []

    def _on_CheckpointRollback(self, _path: str, checkpoint: str) -> tuple[str, list[Any]]:
        before, profiles = self.checkpoints.pop(checkpoint)
        for path in set(self.profiles) - profiles:
            self._forget(path)
        if before is None:
            self._leave()
        elif self._profile_on_wlan() != before and before in self.profiles:
            self._spawn(self._run(before, self._begin(before), UP))
        return "a{su}", [{WLAN: 0}]

    def _on_RequestScan(self, path: str, _options: Any) -> tuple[str, list[Any]]:
        self.set(path, names.WIRELESS, LastScan=Variant("x", next(self._numbers)))
        return "", []

    def _on_Set(self, path: str, interface: str, name: str, value: Variant) -> tuple[str, list[Any]]:
        self.set(path, interface, **{name: value})
        return "", []

    # --- what happens ---------------------------------------------------------------------------------------

    def _begin(self, profile: str) -> str:
        self._leave()
        connection = self.profiles[profile]["connection"]
        kind = str(connection["type"].value)
        return self._show_active(profile, WLAN, connection["uuid"].value, kind, ActiveState.ACTIVATING)

    def _show_active(self, profile: str, device: str, uuid: str, kind: str, state: int) -> str:
        active = f"{names.MANAGER_PATH}/ActiveConnection/{next(self._numbers)}"
        config = f"{names.MANAGER_PATH}/IP4Config/{next(self._numbers)}"
        address = {"address": Variant("s", "192.168.1.50"), "prefix": Variant("u", 24)}
        self._add(config, {names.IP4_CONFIG: {"AddressData": Variant("aa{sv}", [address])}})
        properties = {
            "Connection": Variant("o", profile),
            "Uuid": Variant("s", uuid),
            "Type": Variant("s", kind),
            "State": Variant("u", state),
            "Devices": Variant("ao", [device]),
            "Default": Variant("b", True),
            "Default6": Variant("b", False),
            "Ip4Config": Variant("o", config),
            "Ip6Config": Variant("o", "/"),
        }
        self._add(active, {names.ACTIVE: properties})
        self.set(device, names.DEVICE, ActiveConnection=Variant("o", active))
        return active

    async def _run(self, profile: str, active: str, steps: Sequence[Step]) -> None:
        before = int(self.objects[WLAN][names.DEVICE]["State"].value)
        for new, reason in steps:
            await asyncio.sleep(0.005)
            if active not in self.objects and before != DeviceState.FAILED:
                return
            self.step(new, before, reason)
            before = new
            if self.pause is not None:
                self.pause(new)
                await asyncio.sleep(0)
            if new == DeviceState.FAILED:
                self._end(active)
            elif new == DeviceState.ACTIVATED:
                self._arrive(profile, active)

    def step(self, new: int, old: int, reason: int) -> None:
        """The device changes its state."""
        self.set(WLAN, names.DEVICE, State=Variant("u", new))
        self._signal(WLAN, names.DEVICE, "StateChanged", "uuu", [new, old, reason])

    def _arrive(self, profile: str, active: str) -> None:
        wireless = self.profiles[profile][names.WIFI_TYPE]
        is_hotspot = wireless["mode"].value == "ap"
        points = [
            p for p in self._paths(names.ACCESS_POINT) if self._ssid_of(p) == bytes(wireless["ssid"].value)
        ]
        self.set(
            WLAN,
            names.WIRELESS,
            ActiveAccessPoint=Variant("o", points[0] if points else "/"),
            Mode=Variant("u", 3 if is_hotspot else names.MODE_INFRASTRUCTURE),
        )
        self.set(active, names.ACTIVE, State=Variant("u", ActiveState.ACTIVATED))

    def _end(self, active: str) -> None:
        self.set(active, names.ACTIVE, State=Variant("u", ActiveState.DEACTIVATED))
        self._remove(active)
        self.set(WLAN, names.DEVICE, ActiveConnection=Variant("o", "/"))
        self.set(WLAN, names.WIRELESS, Mode=Variant("u", names.MODE_INFRASTRUCTURE))

    def _leave(self) -> None:
        """What is connected now goes."""
        active = self.objects[WLAN][names.DEVICE]["ActiveConnection"].value
        if active == "/":
            return
        self._end(active)
        self.step(DeviceState.DISCONNECTED, DeviceState.DEACTIVATING, Reason.NEW_ACTIVATION)

    def _profile_on_wlan(self) -> str | None:
        active = self.objects[WLAN][names.DEVICE]["ActiveConnection"].value
        return str(self.objects[active][names.ACTIVE]["Connection"].value) if active in self.objects else None

    def _new_profile(self, profile: dict[str, dict[str, Variant]]) -> str:
        path = f"{names.SETTINGS_PATH}/{next(self._numbers)}"
        self.profiles[path] = profile
        self._add(path, {names.CONNECTION: {}})
        self._list_profiles()
        return path

    def _forget(self, path: str) -> None:
        if self._profile_on_wlan() == path:
            self._leave()
        del self.profiles[path]
        self.on_disk.discard(path)
        self._remove(path)
        self._list_profiles()

    def _list_profiles(self) -> None:
        self.set(names.SETTINGS_PATH, names.SETTINGS, Connections=Variant("ao", sorted(self.profiles)))

    def _list_points(self) -> None:
        self.set(WLAN, names.WIRELESS, AccessPoints=Variant("ao", self._paths(names.ACCESS_POINT)))

    def _ssid_of(self, path: str) -> bytes:
        return bytes(self.objects[path][names.ACCESS_POINT]["Ssid"].value)

    def _paths(self, interface: str) -> list[str]:
        return [path for path, interfaces in self.objects.items() if interface in interfaces]


class BusCommands:
    """Deletes over the bus what nmcli deletes in the product."""

    def __init__(self, fake: FakeNetworkManager) -> None:
        self._fake = fake

    async def delete(self, uuid: str) -> None:
        """Deletes a profile by its UUID."""
        for path, profile in list(self._fake.profiles.items()):
            if profile["connection"]["uuid"].value == uuid:
                self._fake._forget(path)


def _guess(value: Any) -> Variant:
    return Variant("i" if isinstance(value, int) else "s", value)
