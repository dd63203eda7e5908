"""The reset: what each extent removes and keeps, and a runner that a power cut cannot leave half-way.

How each holding is removed is not known here: whoever owns it hands in a remover.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from firmware.durable import sync_folder, write_durably
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


class Extent(StrEnum):
    """How much goes, the mildest first."""

    NETWORKS = "networks"
    """The Wi-Fi networks alone: the station stays its owner's and keeps what it recorded."""
    OWNER = "owner"
    """All that makes it somebody's station; events wait for the next owner."""
    ALL = "all"
    """The events as well."""


_OWNERS = (Holding.CREDENTIALS, Holding.CLAIM_CARD, Holding.CONFIGURATION, Holding.NETWORKS)
_REMOVES = {
    Extent.NETWORKS: (Holding.NETWORKS,),
    Extent.OWNER: _OWNERS,
    Extent.ALL: (*_OWNERS, Holding.EVENTS),
}
_MILDEST_FIRST = tuple(Extent)


@dataclass(frozen=True, slots=True)
class ResetPlan:
    """What a reset removes, in that order, and what it keeps."""

    extent: Extent
    remove: tuple[Holding, ...]
    keep: tuple[Holding, ...]


def plan_reset(extent: Extent = Extent.OWNER) -> ResetPlan:
    """The plan. Credentials go first: from then on the station can do no harm in its former owner's name.

    Events stay unless `ALL` goes: a night's observations must survive a change of the network or the owner.
    """
    remove = _REMOVES[extent]
    return ResetPlan(extent, remove=remove, keep=tuple(each for each in Holding if each not in remove))


Remover = Callable[[], Awaitable[None]]
"""Removes one holding for good. It may be called again, so nothing left to remove is success."""


class Reset(Protocol):
    """The reset, as a button, a page or a command ask for it."""

    async def run(self, extent: Extent = Extent.OWNER) -> ResetPlan:
        """Remove what the plan says; raise `ResetFailed` if something stays."""

    async def finish_pending(self) -> ResetPlan | None:
        """At start: finish a reset that was cut off, and say which; None if there was none."""


class FactoryReset:
    """Runs the plan, with a marker on disk for as long as it is not done."""

    def __init__(self, marker: Path, removers: Mapping[Holding, Remover]) -> None:
        """`marker` is a file in the station's state folder, outside of everything that is removed.

        Raise `ValueError` if a holding that any plan removes has no remover.
        """
        missing = [each for each in plan_reset(Extent.ALL).remove if each not in removers]
        if missing:
            raise ValueError(f"no remover for {', '.join(missing)}")
        self._marker = marker
        self._removers = removers

    async def run(self, extent: Extent = Extent.OWNER) -> ResetPlan:
        """Remove what the plan says; raise `ResetFailed` if something stays, and keep the marker then.

        One holding that cannot be removed does not protect the ones after it. A milder wish does not make a
        pending one milder.
        """
        plan = plan_reset(max(extent, self._pending() or extent, key=_MILDEST_FIRST.index))
        await asyncio.to_thread(self._mark, plan.extent)
        failed = [holding for holding in plan.remove if not await self._removed(holding)]
        if failed:
            raise ResetFailed(f"The reset could not remove: {', '.join(failed)}.")
        await asyncio.to_thread(self._unmark)
        return plan

    async def finish_pending(self) -> ResetPlan | None:
        """At start: finish a reset that was cut off, and say which; None if there was none."""
        extent = self._pending()
        if extent is None:
            return None
        log.warning("A reset was asked for and is not done; doing it now: %s.", extent.value)
        return await self.run(extent)

    async def _removed(self, holding: Holding) -> bool:
        try:
            await self._removers[holding]()
        except Exception:  # the outermost edge of another room's work: the rest must still be removed
            log.exception("The reset could not remove the %s.", holding.value)
            return False
        return True

    def _mark(self, extent: Extent) -> None:
        """Put the marker on disk, for certain, before anything is removed."""
        write_durably(self._marker, wish_text(extent).encode())

    def _unmark(self) -> None:
        self._marker.unlink()
        sync_folder(self._marker.parent)

    def _pending(self) -> Extent | None:
        """How much the pending reset removes; None without one."""
        try:
            return _read_wish(self._marker.read_bytes())
        except FileNotFoundError:
            return None


def wish_text(extent: Extent) -> str:
    """What stands in the marker."""
    return json.dumps({"extent": extent.value})


def _read_wish(data: bytes) -> Extent:
    """A marker that cannot be read resets, and never removes events. Versions before wrote `purge`."""
    try:
        wished = json.loads(data)
        if "extent" in wished:
            return Extent(wished["extent"])
        return Extent.ALL if wished.get("purge") is True else Extent.OWNER
    except (ValueError, TypeError, AttributeError):
        return Extent.OWNER
