"""The factory reset: what it removes and what it keeps, and a runner that a power cut cannot leave half-way.

How each holding is removed is not known here: whoever owns it hands in a remover.
"""

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from firmware.errors import ResetFailed

log = logging.getLogger(__name__)


class Holding(StrEnum):
    """What a station has gathered, in the order in which a reset goes about it."""

    CREDENTIALS = "credentials"
    """Device key, certificate, tokens: all that lets the station act for its owner."""
    CLAIM_CARD = "claim_card"
    """PIN and link secret, the hotspot's key, the technician's PIN; new ones are made for the next owner."""
    CONFIGURATION = "configuration"
    """What the cloud told the station to do."""
    NETWORKS = "networks"
    """Wi-Fi networks with their passwords."""
    EVENTS = "events"
    """Events that wait to be sent, with their media."""
    CLOCK_FLOOR = "clock_floor"
    """The time that is known to be past: knowledge about the world, not about the owner."""
    BOOT_COUNTER = "boot_counter"
    """The count of starts, which orders what the station sends."""
    SETTINGS = "settings"
    """The local settings file, which whoever administers the machine wrote by hand."""


_ALWAYS = (Holding.CREDENTIALS, Holding.CLAIM_CARD, Holding.CONFIGURATION, Holding.NETWORKS)


@dataclass(frozen=True, slots=True)
class ResetPlan:
    """What a reset removes, in that order, and what it keeps."""

    remove: tuple[Holding, ...]
    keep: tuple[Holding, ...]

    @property
    def purge(self) -> bool:
        """Whether events go too."""
        return Holding.EVENTS in self.remove


def plan_reset(*, purge: bool = False) -> ResetPlan:
    """The plan. Credentials go first: from then on the station can do no harm in its former owner's name.

    Events stay unless `purge`: a night's observations must survive a change of the network or the owner.
    """
    remove = (*_ALWAYS, Holding.EVENTS) if purge else _ALWAYS
    return ResetPlan(remove=remove, keep=tuple(each for each in Holding if each not in remove))


Remover = Callable[[], Awaitable[None]]
"""Removes one holding for good. It may be called again, so nothing left to remove is success."""


class Reset(Protocol):
    """The factory reset, as a button, a page or a command ask for it."""

    async def run(self, *, purge: bool = False) -> ResetPlan:
        """Remove what the plan says; raise `ResetFailed` if something stays."""

    async def finish_pending(self) -> ResetPlan | None:
        """At start: finish a reset that was cut off, and say which; None if there was none."""


class FactoryReset:
    """Runs the plan, with a marker on disk for as long as it is not done."""

    def __init__(self, marker: Path, removers: Mapping[Holding, Remover]) -> None:
        """`marker` is a file in the station's state folder, outside of everything that is removed.

        Raise `ValueError` if a holding that any plan removes has no remover.
        """
        missing = [each for each in plan_reset(purge=True).remove if each not in removers]
        if missing:
            raise ValueError(f"no remover for {', '.join(missing)}")
        self._marker = marker
        self._removers = removers

    async def run(self, *, purge: bool = False) -> ResetPlan:
        """Remove what the plan says; raise `ResetFailed` if something stays, and keep the marker then.

        One holding that cannot be removed does not protect the ones after it.
        """
        plan = plan_reset(purge=purge or self._pending_purge() is True)
        await asyncio.to_thread(self._mark, plan.purge)
        failed = [holding for holding in plan.remove if not await self._removed(holding)]
        if failed:
            raise ResetFailed(f"The reset could not remove: {', '.join(failed)}.")
        await asyncio.to_thread(self._unmark)
        return plan

    async def finish_pending(self) -> ResetPlan | None:
        """At start: finish a reset that was cut off, and say which; None if there was none."""
        purge = self._pending_purge()
        if purge is None:
            return None
        log.warning("A factory reset was asked for and is not done; doing it now.")
        return await self.run(purge=purge)

    async def _removed(self, holding: Holding) -> bool:
        try:
            await self._removers[holding]()
        except Exception:  # the outermost edge of another room's work: the rest must still be removed
            log.exception("The reset could not remove the %s.", holding.value)
            return False
        return True

    def _mark(self, purge: bool) -> None:
        """Put the marker on disk, for certain, before anything is removed."""
        fresh = self._marker.with_name(self._marker.name + ".new")
        with fresh.open("w") as file:
            json.dump({"purge": purge}, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._marker)
        _sync_folder(self._marker.parent)

    def _unmark(self) -> None:
        self._marker.unlink()
        _sync_folder(self._marker.parent)

    def _pending_purge(self) -> bool | None:
        """Whether the pending reset purges; None without one. A marker that cannot be read purges nothing."""
        try:
            return json.loads(self._marker.read_text()).get("purge") is True
        except FileNotFoundError:
            return None
        except (ValueError, AttributeError):
            return False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
