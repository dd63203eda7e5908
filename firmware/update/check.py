"""Looks for a release: follows the roots, verifies the manifest, and says whether it is for this station."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

import msgspec

from firmware.update.book import Memory, Shelf
from firmware.update.manifest import MANIFEST_NAME, MOST_BYTES, Manifest
from firmware.update.port import Source, Time
from firmware.update.reasons import Refused, because
from firmware.update.rollout import Facts
from firmware.update.trust import LONGEST_CHAIN, Root, anchor, next_root, root_name, verify

log = logging.getLogger(__name__)


class Station(msgspec.Struct, frozen=True, kw_only=True):
    """Which station this is, as far as releases ask."""

    device_id: str
    channel: str = "stable"


class Finder:
    """Reads releases from a source."""

    def __init__(
        self, shelf: Shelf, shipped: bytes, station: Station, time: Time, zone: tzinfo = UTC
    ) -> None:
        """`shipped` is the root document that came with the program; `zone` is None for the machine's own."""
        self._shelf, self._shipped, self._station = shelf, shipped, station
        self._time, self._zone = time, zone

    def find(self, source: Source) -> Manifest:
        """The manifest of the source, verified; its number is remembered. Raises `Refused` or `OSError`."""
        root = self._follow(source)
        data = source.read(MANIFEST_NAME, MOST_BYTES)
        if data is None:
            raise Refused(because("UPD-001", detail=f"there is no {MANIFEST_NAME}"))
        memory = self._shelf.memory()
        manifest = verify(data, root, memory.floor, self._now())
        if manifest.serial > memory.serial:
            self._shelf.keep_memory(msgspec.structs.replace(memory, serial=manifest.serial))
        return manifest

    def facts(self, running: str, memory: Memory, *, asked: bool) -> Facts:
        """What the rules of a rollout ask."""
        now = self._now()
        return Facts(
            self._station.device_id,
            running,
            self._station.channel,
            None if now is None else now.astimezone(self._zone),
            memory.failed,
            asked,
        )

    def moment(self) -> datetime | None:
        """The time, where it is trusted."""
        return self._now()

    def _now(self) -> datetime | None:
        if not self._time.quality().synchronized:
            return None
        return datetime.fromtimestamp(self._time.wall(), UTC)

    def _follow(self, source: Source) -> Root:
        root = self._newest()
        for _ in range(LONGEST_CHAIN):
            data = source.read(root_name(root.document.version + 1), MOST_BYTES)
            if data is None:
                break
            root = next_root(root, data)
            self._shelf.keep_root(data)
            log.info("the root of updates is number %d now", root.document.version)
        return root

    def _newest(self) -> Root:
        """The root that was believed last; the shipped one if that is newer, or the kept one is damaged."""
        shipped, kept = anchor(self._shipped), self._shelf.root()
        if kept is None:
            return shipped
        try:
            found = anchor(kept)
        except Refused as error:
            log.warning("the kept root cannot be used: %s", error)
            return shipped
        return max(shipped, found, key=lambda root: root.document.version)


WhichSource = Callable[[str], Source]
"""The source of a name: empty for the one of the settings, a folder's path for a USB stick."""
