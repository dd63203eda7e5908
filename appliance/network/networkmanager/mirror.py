"""A copy of the objects that NetworkManager exports, kept true by its signals; it asks nothing itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dbus_fast import Message, unpack_variants

from appliance.network.networkmanager.names import OBJECT_MANAGER, PROPERTIES

Properties = Mapping[str, Any]
Objects = dict[str, dict[str, dict[str, Any]]]
"""Path, interface, property."""

_NONE: Properties = {}


class Mirror:
    """What is read here may be a moment old and is never half of a change."""

    def __init__(self) -> None:
        self._objects: Objects = {}

    def replace(self, objects: Objects) -> None:
        """Starts anew from the answer of GetManagedObjects."""
        self._objects = objects

    def clear(self) -> None:
        """The service is gone, and so is all that it had."""
        self._objects = {}

    def get(self, path: str | None, interface: str) -> Properties:
        """The properties; empty for an object that is not there."""
        return self._objects.get(path or "", {}).get(interface, _NONE)

    def of(self, interface: str) -> Iterator[tuple[str, Properties]]:
        """Every object with this interface."""
        for path, interfaces in list(self._objects.items()):
            if interface in interfaces:
                yield path, interfaces[interface]

    def take(self, message: Message) -> bool:
        """Applies a signal; whether it was one that changes objects."""
        match message.interface, message.member, unpack_variants(message.body):
            case (interface, "PropertiesChanged", [str(of), dict(changed), *_]) if interface == PROPERTIES:
                self._change(message.path or "", of, changed)
            case (interface, "InterfacesAdded", [str(path), dict(added)]) if interface == OBJECT_MANAGER:
                self._objects.setdefault(path, {}).update(added)
            case (interface, "InterfacesRemoved", [str(path), list(removed)]) if interface == OBJECT_MANAGER:
                self._remove(path, removed)
            case _:
                return False
        return True

    def _change(self, path: str, interface: str, changed: dict[str, Any]) -> None:
        known = self._objects.get(path, {}).get(interface)
        if known is not None:
            known.update(changed)

    def _remove(self, path: str, interfaces: list[str]) -> None:
        left = self._objects.get(path, {})
        for interface in interfaces:
            left.pop(interface, None)
        if not left:
            self._objects.pop(path, None)
