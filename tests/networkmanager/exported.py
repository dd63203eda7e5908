"""Objects on a bus that answer calls and tell their changes; what they mean is their owner's business."""

from __future__ import annotations

import asyncio
from typing import Any

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from appliance.network.networkmanager import names


class Exported:
    """A service. A method `_on_Name(path, *arguments)` answers the call Name with signature and body.

    `refuse` names errors for calls, `hang` calls that are never answered; `calls` is all that was asked.
    """

    def __init__(self, address: str, name: str) -> None:
        self.address = address
        self.name = name
        self.objects: dict[str, dict[str, dict[str, Variant]]] = {}
        self.refuse: dict[str, str] = {}
        self.hang: set[str] = set()
        self.calls: list[str] = []
        self._bus: MessageBus | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Comes to the bus."""
        self._bus = await MessageBus(bus_address=self.address).connect()
        self._bus.add_message_handler(self._answer)
        await self._bus.request_name(self.name)

    async def stop(self) -> None:
        """Leaves without a word, as after a kill."""
        bus, self._bus = self._bus, None
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if bus is not None:
            bus.disconnect()

    def _answer(self, message: Message) -> Message | bool | None:
        if (
            message.message_type is not MessageType.METHOD_CALL
            or message.destination == "org.freedesktop.DBus"
        ):
            return None
        member = message.member or ""
        self.calls.append(member)
        if member in self.hang:
            return True
        if member in self.refuse:
            return Message.new_error(message, self.refuse[member], "Insufficient privileges.")
        method = getattr(self, f"_on_{member}", None)
        if method is None:
            return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownMethod", member)
        signature, body = method(message.path, *message.body)
        return Message.new_method_return(message, signature, body)

    def _on_GetManagedObjects(self, _path: str) -> tuple[str, list[Any]]:
        return "a{oa{sa{sv}}}", [self.objects]

    def set(self, path: str, interface: str, **changed: Variant) -> None:
        """Changes properties, and says so."""
        self.objects[path].setdefault(interface, {}).update(changed)
        self._signal(path, names.PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, changed, []])

    def _add(self, path: str, interfaces: dict[str, dict[str, Variant]]) -> None:
        self.objects[path] = interfaces
        self._signal(names.ROOT, names.OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, interfaces])

    def _remove(self, path: str) -> None:
        interfaces = list(self.objects.pop(path, {}))
        self._signal(names.ROOT, names.OBJECT_MANAGER, "InterfacesRemoved", "oas", [path, interfaces])

    def _signal(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        if self._bus is not None:
            self._bus.send(Message.new_signal(path, interface, member, signature, body))

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
