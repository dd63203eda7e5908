"""What the agent must still know after a power cut: its book, its memory of floors and failures, its history.

The book says how far an update came. It never says what runs: that is looked at.
"""

from __future__ import annotations

import hashlib
import logging
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import msgspec

from firmware.durable import write_durably
from firmware.update.manifest import Manifest
from firmware.update.reasons import Reason
from firmware.update.sight import Sight
from firmware.update.trust import Floor

log = logging.getLogger(__name__)

T = TypeVar("T")

HISTORY_LENGTH = 20
READABLE = 0o644
"""The station, which may be another user, shows the job and the history."""


class State(StrEnum):
    """How far an update came. Each is on the disk before the act that belongs to it begins."""

    IDLE = "idle"
    AVAILABLE = "available"
    DOWNLOADING = "downloading"
    VERIFIED = "verified"
    INSTALLED = "installed"
    ARMED = "armed"
    SWITCHED = "switched"
    PROBING = "probing"
    PROBATION = "probation"
    COMMITTED = "committed"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """`former` ran before, and is what a roll-back goes to. `stores` counts writes of this update.

    `version` is the one that goes when a person asked for the former one; else the manifest names what comes.
    `failures` counts downloads in a row that broke off.
    """

    state: State = State.IDLE
    job: str = ""
    manifest: Manifest | None = None
    version: str = ""
    asked: bool = False
    origin: str = ""
    former: str = ""
    baseline: Sight | None = None
    reason: Reason | None = None
    stores: int = 0
    failures: int = 0


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """One update that is over. `at` is RFC 3339, empty where the time was not known."""

    job: str
    version: str
    former: str
    result: str
    reason: Reason | None = None
    at: str = ""


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What outlives an update: floors, versions that failed with the `retry` of their manifest, the past.

    `version` was kept last, from a manifest with `retry`; `previous` is what a person can go back to.
    """

    version: str = ""
    retry: int = 0
    epoch: int = 0
    serial: int = 0
    failed: dict[str, int] = {}
    previous: str = ""
    history: tuple[Ended, ...] = ()

    @property
    def floor(self) -> Floor:
        """Below which no manifest is taken."""
        return Floor(self.epoch, self.serial)


class Shelf:
    """The agent's files in one folder. Writing raises `OSError`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def staging(self) -> Path:
        """Files of a release on their way."""
        return self.folder / "staging"

    @property
    def lock(self) -> Path:
        """Held by the one agent that works."""
        return self.folder / "lock"

    def book(self) -> Book:
        """The book; a new one if it cannot be read, because what runs is the truth anyway."""
        return self._read("book.json", Book) or Book()

    def keep_book(self, book: Book) -> None:
        """Puts the book on the disk."""
        self._keep("book.json", book)

    def memory(self) -> Memory:
        """What outlives an update."""
        return self._read("memory.json", Memory) or Memory()

    def keep_memory(self, memory: Memory) -> None:
        """Puts the memory on the disk."""
        self._keep("memory.json", memory)

    def root(self) -> bytes | None:
        """The newest root that was believed."""
        try:
            return (self.folder / "root.json").read_bytes()
        except OSError:
            return None

    def keep_root(self, envelope: bytes) -> None:
        """Puts a root on the disk."""
        write_durably(self.folder / "root.json", envelope, READABLE)

    def _keep(self, name: str, value: msgspec.Struct) -> None:
        body = msgspec.json.encode(value)
        write_durably(self.folder / name, hashlib.sha256(body).hexdigest().encode() + b"\n" + body, READABLE)

    def _read(self, name: str, kind: type[T]) -> T | None:
        try:
            digest, _, body = (self.folder / name).read_bytes().partition(b"\n")
            if hashlib.sha256(body).hexdigest().encode() != digest:
                raise ValueError("its checksum is wrong")  # noqa: TRY301 - told in one place
            return msgspec.json.decode(body, type=kind)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read and begins anew: %s", self.folder / name, error)
            return None
