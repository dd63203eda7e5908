"""python-dbusmock's NetworkManager as a process of its own, and the hands that move it; no test here.

Its template knows devices, access points, profiles and active connections as they are at rest. What it lacks
(checkpoints, AddConnection2, Update2, an activation that takes its time) is added to it here.
"""

from __future__ import annotations

import asyncio
import functools
import signal
import subprocess
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from dbus_fast import Message, Variant

from appliance.network.networkmanager import names
from appliance.network.networkmanager.bus import Bus
from appliance.network.networkmanager.names import ActiveState, DeviceState

PYTHON = "/usr/bin/python3"
"""Debian's, for which python3-dbusmock and its D-Bus binding are packaged."""
MOCK = "org.freedesktop.DBus.Mock"
WLAN = names.MANAGER_PATH + "/Devices/wlan0"
BARN = "00000000-0000-4000-8000-00000000ba28"

_LEAVE = f"""
for each in list(self.Get("{names.MANAGER}", "ActiveConnections")):
    self.deactivate_connection(self, each)
objects["{WLAN}"].Set("{names.WIRELESS}", "ActiveAccessPoint", dbus.ObjectPath("/"))
"""
_BRING_UP = f"""{_LEAVE}
ret = self.activate_connection(self, args[0], args[1], args[2])
for each in objects[args[1]].access_points:
    ssid = objects[each].props["{names.ACCESS_POINT}"]["Ssid"]
    if bytes(ssid) == bytes(objects[args[0]].settings["{names.WIFI_TYPE}"]["ssid"]):
        objects[args[1]].Set("{names.WIRELESS}", "ActiveAccessPoint", dbus.ObjectPath(each))
"""
_AT_ONCE = "ret = self.BringUp(*args)"
_SLOWLY = f"""{_LEAVE}
self.begun = getattr(self, "begun", 0) + 1
ret = "{names.MANAGER_PATH}/ActiveConnection/begun" + str(self.begun)
settings = objects[args[0]].settings["connection"]
self.AddObject(ret, "{names.ACTIVE}", {{
    "Connection": dbus.ObjectPath(args[0]), "Uuid": settings["uuid"], "Type": settings["type"],
    "Devices": dbus.Array([args[1]], signature="o"), "Default": True, "Default6": False,
    "State": dbus.UInt32({ActiveState.ACTIVATING}),
}}, [])
self.Get("{names.MANAGER}", "ActiveConnections").append(dbus.ObjectPath(ret))
self.object_manager_emit_added(ret)
objects[args[1]].Set("{names.DEVICE}", "ActiveConnection", dbus.ObjectPath(ret))
"""
_CREATE = f"""
self.checkpoints, self.made = getattr(self, "checkpoints", {{}}), getattr(self, "made", 0) + 1
if self.checkpoints:
    raise dbus.exceptions.DBusException("already in a checkpoint", name="{names.MANAGER}.InvalidArguments")
active = objects[args[0][0]].Get("{names.DEVICE}", "ActiveConnection")
profile = objects[active].Get("{names.ACTIVE}", "Connection") if active in objects else None
ret = "{names.MANAGER_PATH}/Checkpoint/" + str(self.made)
self.checkpoints[ret] = (profile, list(objects["{names.SETTINGS_PATH}"].ListConnections()))
self.Set("{names.MANAGER}", "Checkpoints", dbus.Array(list(self.checkpoints), signature="o"))
"""
_FORGET = f"""
if args[0] not in self.checkpoints:
    raise dbus.exceptions.DBusException("no such checkpoint", name="{names.MANAGER}.InvalidArguments")
profile, stored = self.checkpoints.pop(args[0])
self.Set("{names.MANAGER}", "Checkpoints", dbus.Array(list(self.checkpoints), signature="o"))
"""
_ROLL_BACK = f"""{_FORGET}
for each in list(objects["{names.SETTINGS_PATH}"].ListConnections()):
    if each not in stored:
        objects[each].ConnectionDelete(objects[each])
if profile is None:
    {_LEAVE.strip().replace(chr(10), chr(10) + "    ")}
else:
    self.BringUp(profile, "{WLAN}", "/")
ret = {{"{WLAN}": dbus.UInt32(0)}}
"""
_UPDATE = "args[0]['connection']['autoconnect'] = False; self.ConnectionUpdate(self, args[0]); ret = {}"
_ADD = """
args[0]["connection"]["autoconnect"] = False  # the template's own idea of it is to activate at once
path = self.SettingsAddConnection(args[0])
objects[path].AddMethods({interface!r}, {methods!r})
ret = (path, dbus.Dictionary({{}}, signature="sv"))
"""
_SCAN = f"""
self.scans = getattr(self, "scans", 0) + 1
self.Set("{names.WIRELESS}", "LastScan", dbus.Int64(self.scans))
"""
_STORM = f"""
for number in range(args[1]):
    objects[args[0]].Set("{names.ACCESS_POINT}", "Strength", dbus.Byte((number + 1) % 101))
    objects["{WLAN}"].EmitSignal("{names.PROPERTIES}", "PropertiesChanged", "sa{{sv}}as",
        ["org.example.Unheard", dbus.Dictionary({{"Of": number}}, signature="sv"), []])
"""

_METHODS: dict[tuple[str, str, str], tuple[str, str, str]] = {
    (names.MANAGER_PATH, names.MANAGER, "BringUp"): ("ooo", "o", _BRING_UP),
    (names.MANAGER_PATH, names.MANAGER, "ActivateConnection"): ("ooo", "o", _AT_ONCE),
    (names.MANAGER_PATH, names.MANAGER, "AddAndActivateConnection2"): ("a{sa{sv}}ooa{sv}", "ooa{sv}", ""),
    (names.MANAGER_PATH, names.MANAGER, "CheckpointCreate"): ("aouu", "o", _CREATE),
    (names.MANAGER_PATH, names.MANAGER, "CheckpointDestroy"): ("o", "", _FORGET),
    (names.MANAGER_PATH, names.MANAGER, "CheckpointRollback"): ("o", "a{su}", _ROLL_BACK),
    (names.MANAGER_PATH, names.MANAGER, "Storm"): ("ou", "", _STORM),
    (names.SETTINGS_PATH, names.SETTINGS, "AddConnection2"): ("a{sa{sv}}ua{sv}", "oa{sv}", ""),
    (WLAN, names.WIRELESS, "RequestScan"): ("a{sv}", "", _SCAN),
}
"""By object, interface and method: the signatures of what comes and goes, and the code that answers."""
_OF_A_PROFILE = {
    "Update2": ("a{sa{sv}}ua{sv}", "a{sv}", _UPDATE),
    "GetSettings": ("", "a{sa{sv}}", "ret = self.ConnectionGetSettings(self)"),
    "Delete": ("", "", "self.ConnectionDelete(self)"),
}
"""The same of each new profile."""

_TIME_IS_OVER = f"""
for each in list(objects["{names.MANAGER_PATH}"].checkpoints):
    objects["{names.MANAGER_PATH}"].CheckpointRollback(each)
"""
_SIGNAL = "import os, signal; os.kill(os.getpid(), signal.{})"


@functools.cache
def why_no_mock() -> str | None:
    """Why dbusmock cannot be started here, or None."""
    missing = f"dbusmock is not installed for {PYTHON} (Debian: apt install python3-dbusmock)"
    if not Path(PYTHON).exists():
        return missing
    found = subprocess.run([PYTHON, "-I", "-c", "import dbusmock"], capture_output=True, check=False)
    return None if found.returncode == 0 else missing


class MockedNetworkManager:
    """Begins with `start` as a radio that is free, in empty air. `calls` is all that was asked of it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.calls: list[str] = []
        self._bus = Bus(address)
        self._process: asyncio.subprocess.Process | None = None
        self._owned = False
        self._heard = asyncio.Event()
        self._points = 0
        self._of_a_profile = dict(_OF_A_PROFILE)

    # --- its life -------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Comes to the bus, for the first time or again; nothing is left of an earlier life."""
        if not self._bus.connected:
            await self._bus.connect()
            self._bus.listen(self._take)
            await self._bus.match(sender=names.DBUS, member="NameOwnerChanged", arg0=names.SERVICE)
            await self._bus.match(sender=names.SERVICE, interface=MOCK, member="MethodCalled")
        self._process = await asyncio.create_subprocess_exec(
            PYTHON,
            *("-I", "-m", "dbusmock", "--system", "--template", "networkmanager"),
            env={"DBUS_SYSTEM_BUS_ADDRESS": self.address},
            stdout=subprocess.DEVNULL,
        )
        await self._until(lambda: self._owned)
        await self.call(names.ROOT, MOCK, "AddWiFiDevice", "ssi", "wlan0", "wlan0", DeviceState.DISCONNECTED)
        nothing = Variant("o", names.NOTHING)
        await self._add_properties(WLAN, names.WIRELESS, ActiveAccessPoint=nothing, LastScan=Variant("x", 0))
        await self._add_properties(names.MANAGER_PATH, names.MANAGER, Checkpoints=Variant("ao", []))
        for (path, interface, member), (takes, gives, code) in _METHODS.items():
            await self._add_method(path, interface, member, takes, gives, code)
        self._of_a_profile = dict(_OF_A_PROFILE)
        await self.replace("AddConnection2", self._adding())
        self.calls.clear()

    async def kill(self) -> None:
        """Leaves without a word; also when it has died of itself."""
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
            await process.wait()
            await self._until(lambda: not self._owned)

    async def stop(self) -> None:
        """Leaves for good."""
        await self.kill()
        self._bus.disconnect()

    def _take(self, message: Message) -> None:
        if message.member == "NameOwnerChanged" and message.body[0] == names.SERVICE:
            self._owned = bool(message.body[2])
        elif message.member == "MethodCalled":
            self.calls.append(message.body[0])
        self._heard.set()

    async def _until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not true():
                self._heard.clear()
                await self._heard.wait()

    async def asked(self, member: str) -> None:
        """Waits until a method was called."""
        await self._until(lambda: member in self.calls)

    async def gone(self) -> None:
        """Waits until it is no longer on the bus."""
        await self._until(lambda: not self._owned)
        await self.kill()

    # --- what the mock is told ------------------------------------------------------------------------------

    async def call(self, path: str, interface: str, member: str, signature: str = "", *body: Any) -> Any:
        """One call of the mock; its first answer. Raises `CallFailed`."""
        answer = await self._bus.call(path, interface, member, signature, body)
        return answer[0] if answer else None

    async def _add_properties(self, path: str, interface: str, **properties: Variant) -> None:
        await self.call(path, MOCK, "AddProperties", "sa{sv}", interface, properties)

    async def _add_method(self, path: str, *method: str) -> None:
        await self.call(path, MOCK, "AddMethod", "sssss", *method)

    async def replace(self, member: str, code: str) -> None:
        """The method is answered by other code from now on."""
        if member in _OF_A_PROFILE:
            self._of_a_profile[member] = (*_OF_A_PROFILE[member][:2], code)
            member, code = "AddConnection2", self._adding()
        for (path, interface, name), (takes, gives, _) in _METHODS.items():
            if name == member:
                await self._add_method(path, interface, member, takes, gives, code)

    def _code(self, member: str) -> str:
        """What answers a method in the beginning."""
        if member == "AddConnection2":
            return self._adding()
        codes = {name: code for (_, _, name), (_, _, code) in _METHODS.items()}
        return codes.get(member) or _OF_A_PROFILE[member][-1]

    def _adding(self) -> str:
        methods = [(name, *how) for name, how in self._of_a_profile.items()]
        return _ADD.format(interface=names.CONNECTION, methods=methods)

    async def refuse_property(self, error: str) -> None:
        """No property of the manager can be set from now on."""
        code = f"raise dbus.exceptions.DBusException('Insufficient privileges.', name={error!r})"
        await self._add_method(names.MANAGER_PATH, names.PROPERTIES, "Set", "ssv", "", code)

    async def refuse(self, member: str, error: str, text: str = "Insufficient privileges.") -> None:
        """Answers a method with an error from now on."""
        await self.replace(member, f"raise dbus.exceptions.DBusException({text!r}, name={error!r})")

    async def die_in(self, member: str) -> None:
        """A method kills the process before it answers."""
        await self.replace(member, _SIGNAL.format("SIGKILL"))

    async def freeze_in(self, member: str) -> None:
        """A method stops the process; when that goes on, it does its work and answers, however late."""
        await self.replace(member, f"{_SIGNAL.format('SIGSTOP')}\n{self._code(member)}")

    async def thaw(self, member: str) -> None:
        """Goes on after `freeze_in`, and freezes no more."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
        await self.replace(member, self._code(member))

    async def time_is_over_in(self, member: str) -> None:
        """The time of every checkpoint is over just before a method is carried out."""
        await self.replace(member, f"{_TIME_IS_OVER}\n{self._code(member)}")

    async def time_is_over(self) -> None:
        """NetworkManager rolls back by itself what nobody has ended."""
        for each in await self.checkpoints():
            await self.call(names.MANAGER_PATH, names.MANAGER, "CheckpointRollback", "o", each)

    async def activate_slowly(self) -> None:
        """An activation only begins; the test says by `step` how it goes on."""
        await self.replace("ActivateConnection", _SLOWLY)

    async def before_activation(self, code: str) -> None:
        """Runs code in the mock between the call of an activation and its answer."""
        await self.replace("ActivateConnection", f"{_SLOWLY}\n{code}")

    async def set(self, path: str, interface: str, **changed: Variant) -> None:
        """Changes properties, and says so."""
        for name, value in changed.items():
            await self.call(path, names.PROPERTIES, "Set", "ssv", interface, name, value)

    async def hear(self, ssid: str, strength: int = 70, key: int = names.KEY_PSK) -> str:
        """A transmitter comes into the air; its path."""
        self._points += 1
        name, mac = f"heard{self._points}", f"02:00:00:00:01:{self._points:02x}"
        mode = names.MODE_INFRASTRUCTURE
        about = (WLAN, name, ssid, mac, mode, 2437, 54000, strength, key)
        return str(await self.call(names.ROOT, MOCK, "AddAccessPoint", "ssssuuuyu", *about))

    async def in_the_barn(self) -> str:
        """A station that is connected with its stored network Barn; the profile's path."""
        await self.hear("Barn", 60)
        profile = {
            "connection": {
                "id": Variant("s", "Barn"),
                "uuid": Variant("s", BARN),
                "type": Variant("s", names.WIFI_TYPE),
            },
            names.WIFI_TYPE: {"ssid": Variant("ay", b"Barn"), "mode": Variant("s", "infrastructure")},
            f"{names.WIFI_TYPE}-security": {"key-mgmt": Variant("s", "wpa-psk")},
        }
        added = (names.SETTINGS_PATH, names.SETTINGS, "AddConnection2", "a{sa{sv}}ua{sv}")
        path = await self.call(*added, profile, names.TO_DISK, {})
        await self.bring_up(path)
        return str(path)

    async def bring_up(self, profile: str) -> None:
        """Connects with a profile, without anybody's wish."""
        await self.call(names.MANAGER_PATH, names.MANAGER, "BringUp", "ooo", profile, WLAN, names.NOTHING)

    async def step(self, *steps: tuple[int, int]) -> None:
        """The device goes through states, each for a reason."""
        for state, reason in steps:
            old = await self.device("State")
            await self.set(WLAN, names.DEVICE, State=Variant("u", state))
            body = [Variant("u", state), Variant("u", old), Variant("u", reason)]
            await self.emit(WLAN, names.DEVICE, "StateChanged", "uuu", body)

    async def emit(
        self, path: str, interface: str, name: str, signature: str, body: Iterable[Variant]
    ) -> None:
        """Sends a signal."""
        await self.call(path, MOCK, "EmitSignal", "sssav", interface, name, signature, list(body))

    async def arrive(self, point: str) -> None:
        """The slow activation ends well, at this transmitter."""
        await self.set(WLAN, names.WIRELESS, ActiveAccessPoint=Variant("o", point))
        await self.step((DeviceState.ACTIVATED, 0))
        await self.set(
            await self.device("ActiveConnection"), names.ACTIVE, State=Variant("u", ActiveState.ACTIVATED)
        )

    async def end_activation(self) -> None:
        """The active connection goes, as after a failure."""
        active = await self.device("ActiveConnection")
        if active != names.NOTHING:
            await self.set(active, names.ACTIVE, State=Variant("u", ActiveState.DEACTIVATED))
            await self.call(names.MANAGER_PATH, names.MANAGER, "DeactivateConnection", "o", active)

    async def storm(self, point: str, number: int) -> None:
        """So many changes of a transmitter's strength, and as many of what nobody knows."""
        await self.call(names.MANAGER_PATH, names.MANAGER, "Storm", "ou", point, number)

    # --- what it is like now --------------------------------------------------------------------------------

    async def device(self, name: str) -> Any:
        """A property of the radio."""
        return await self.call(WLAN, names.PROPERTIES, "Get", "ss", names.DEVICE, name)

    async def profiles(self) -> list[str]:
        """The paths of all profiles."""
        about = (names.SETTINGS_PATH, names.PROPERTIES, "Get", "ss", names.SETTINGS, "Connections")
        return list(await self.call(*about))

    async def checkpoints(self) -> list[str]:
        """The paths of the checkpoints that have not ended."""
        about = (names.MANAGER_PATH, names.PROPERTIES, "Get", "ss", names.MANAGER, "Checkpoints")
        return list(await self.call(*about))

    async def connected_profile(self) -> str | None:
        """The path of the profile that the radio is connected with."""
        active = await self.device("ActiveConnection")
        if active == names.NOTHING:
            return None
        return str(await self.call(active, names.PROPERTIES, "Get", "ss", names.ACTIVE, "Connection"))


class MockCommands:
    """Deletes over the bus what nmcli deletes in the product."""

    def __init__(self, mock: MockedNetworkManager) -> None:
        self._mock = mock

    async def delete(self, uuid: str) -> None:
        """Deletes a profile by its UUID."""
        for path in await self._mock.profiles():
            settings = await self._mock.call(path, names.CONNECTION, "GetSettings")
            if settings["connection"]["uuid"] == uuid:
                await self._mock.call(path, names.CONNECTION, "Delete")
