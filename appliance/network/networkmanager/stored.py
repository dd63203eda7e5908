"""The profiles that NetworkManager keeps: read, added, kept, deleted; made elsewhere."""

from __future__ import annotations

import logging
from typing import Protocol

from appliance.network.networkmanager import names
from appliance.network.networkmanager.bus import CallFailed, ServiceGone
from appliance.network.networkmanager.commands import CommandFailed, make_durable
from appliance.network.networkmanager.profiles import Profile, StoredProfile, in_order, stored_profile
from appliance.network.networkmanager.service import Service

log = logging.getLogger(__name__)


class ProfileCommands(Protocol):
    """Who deletes what is stored; the program nmcli outside of tests."""

    async def delete(self, uuid: str) -> None:
        """Deletes a profile for good; one that is not there is no error. Raises `CommandFailed`."""


class Profiles:
    """All errors are `CallFailed`'s family."""

    def __init__(self, service: Service, commands: ProfileCommands) -> None:
        self._service = service
        self._commands = commands

    async def all(self) -> list[StoredProfile]:
        """Every profile that this user may see."""
        answer = await self._service.call(names.SETTINGS_PATH, names.SETTINGS, "ListConnections")
        found = []
        for path in answer[0]:
            try:
                answer = await self._service.call(path, names.CONNECTION, "GetSettings")
            except ServiceGone:
                raise
            except CallFailed as error:
                log.debug("profile %s is skipped: %s", path, error)  # deleted meanwhile, or another user's
                continue
            found.append(stored_profile(path, answer[0]))
        return found

    async def networks(self) -> list[StoredProfile]:
        """Those of Wi-Fi networks, the most recently joined first."""
        return in_order(await self.all())

    async def add(self, profile: Profile) -> str:
        """Adds a profile in memory, which is not activated by itself; its path."""
        answer = await self._service.call(
            names.SETTINGS_PATH,
            names.SETTINGS,
            "AddConnection2",
            "a{sa{sv}}ua{sv}",
            [profile, names.IN_MEMORY | names.BLOCK_AUTOCONNECT, {}],
            secret=True,
        )
        return str(answer[0])

    async def keep(self, path: str, profile: Profile) -> None:
        """Writes a profile to the disk, durably, with this content."""
        await self._service.call(
            path, names.CONNECTION, "Update2", "a{sa{sv}}ua{sv}", [profile, names.TO_DISK, {}], secret=True
        )
        await make_durable()

    async def drop(self, path: str) -> None:
        """Deletes a profile that was in memory only. One that is gone is no error."""
        try:
            await self._service.call(path, names.CONNECTION, "Delete")
        except CallFailed as error:
            if self._service.mirror.get(path, names.CONNECTION):
                raise
            log.debug("a profile was gone already: %s", error)

    async def delete(self, *profiles: StoredProfile) -> None:
        """Deletes stored profiles, durably."""
        for profile in profiles:
            try:
                await self._commands.delete(profile.uuid)
            except CommandFailed as error:
                raise CallFailed("delete", "nmcli", str(error)) from None
        if profiles:
            await make_durable()

    async def sweep(self) -> None:
        """Removes trials that an earlier life of the station has left in NetworkManager's memory."""
        for profile in await self.all():
            if profile.trial:
                log.info("removing the rest of an attempt that was cut off")
                await self.drop(profile.path)
