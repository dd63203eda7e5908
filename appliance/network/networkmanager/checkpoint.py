"""NetworkManager's checkpoint round an attempt: without a yes the network of before comes back.

Should this process die, NetworkManager itself rolls back when the time is over.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from appliance.network.networkmanager import names
from appliance.network.networkmanager.bus import CallFailed
from appliance.network.networkmanager.mirror import Properties
from appliance.network.networkmanager.names import ActiveState, DeviceState
from appliance.network.networkmanager.service import Service

log = logging.getLogger(__name__)

LONGEST_S = 600
"""More than the longest attempt takes, with two ways in."""
BACK_S = 60.0
"""The time that the network of before gets to be back."""


@dataclass(frozen=True, slots=True)
class _Before:
    """The UUID and the path of the profile that a device is connected with."""

    uuid: str
    profile: str


class Checkpoint:
    """Made by `create`; ended by `keep` or `undo`."""

    def __init__(self, service: Service, device: str, path: str, before: _Before | None) -> None:
        self._service = service
        self._device = device
        self._path = path
        self._before = before
        self._profiles = _profiles(service)

    @classmethod
    async def create(cls, service: Service, device: str) -> Checkpoint:
        """Remembers what `device` is connected with. Raises `CallFailed`."""
        before = _before(service, device)
        arguments = [[device], LONGEST_S, names.DELETE_NEW_CONNECTIONS]
        try:
            path = await _create(service, arguments)
        except CallFailed as error:
            if not await _roll_back_leftovers(service):
                raise
            log.info("an attempt that was cut off is rolled back: %s", error)
            before = _before(service, device)
            path = await _create(service, arguments)
        return cls(service, device, path, before)

    async def keep(self) -> None:
        """The present state is the good one."""
        await self._service.call(names.MANAGER_PATH, names.MANAGER, "CheckpointDestroy", "o", [self._path])

    async def undo(self) -> None:
        """Goes back; returns when the network of before is there or had its time. Raises `CallFailed`."""
        await self._service.call(names.MANAGER_PATH, names.MANAGER, "CheckpointRollback", "o", [self._path])
        if not await self._service.until(self._is_back, BACK_S):
            log.warning("the network of before has not come back yet")

    def _is_back(self) -> bool:
        if not self._service.present:
            return True  # there is nothing left to wait for
        if self._before is None or self._before.profile not in _profiles(self._service):
            return self._is_free()
        return _before(self._service, self._device) == self._before

    def _is_free(self) -> bool:
        """Nothing that came after the checkpoint is active any more."""
        device = self._service.mirror.get(self._device, names.DEVICE)
        active = self._service.mirror.get(device.get("ActiveConnection"), names.ACTIVE)
        return active.get("Connection") in self._profiles if active else _is_idle(device)


def _is_idle(device: Properties) -> bool:
    return int(device.get("State", 0)) <= DeviceState.DISCONNECTED


def _profiles(service: Service) -> set[str]:
    return set(service.mirror.get(names.SETTINGS_PATH, names.SETTINGS).get("Connections", []))


async def _create(service: Service, arguments: list[object]) -> str:
    answer = await service.call(names.MANAGER_PATH, names.MANAGER, "CheckpointCreate", "aouu", arguments)
    return str(answer[0])


async def _roll_back_leftovers(service: Service) -> bool:
    """Whether there were checkpoints of an earlier life of the station."""
    leftovers = service.mirror.get(names.MANAGER_PATH, names.MANAGER).get("Checkpoints", [])
    for path in leftovers:
        await service.call(names.MANAGER_PATH, names.MANAGER, "CheckpointRollback", "o", [path])
    return bool(leftovers)


def _before(service: Service, device: str) -> _Before | None:
    """What a device is connected with; None for what is only on its way up or down, such as a hotspot whose
    profile was deleted a moment ago."""
    path = service.mirror.get(device, names.DEVICE).get("ActiveConnection")
    active = service.mirror.get(path, names.ACTIVE)
    if active.get("State") != ActiveState.ACTIVATED:
        return None
    return _Before(str(active.get("Uuid")), str(active.get("Connection")))
