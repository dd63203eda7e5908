"""What the agent needs from outside: the versions on this machine, where releases come from, and the time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from firmware.clock import ClockQuality
from firmware.update.reasons import Refused, because


class InstallFailed(Exception):
    """A version cannot be put beside the others because of what is in it."""


class Backend(Protocol):
    """The versions on this machine. Every act may be repeated and may raise `OSError`.

    Plain folders stand behind it now; packages can, where `install` calls dpkg for files that were verified.
    """

    def running(self) -> str | None:
        """The version of the program that runs now, found by looking at it; None when none runs."""

    def pointed(self) -> str | None:
        """The version that the next start runs."""

    def installed(self) -> frozenset[str]:
        """Every version that is whole."""

    def free(self) -> int:
        """Bytes that can be used where versions lie."""

    def install(self, version: str, files: Sequence[Path], seal: str) -> None:
        """Put a version beside the others, whole or not at all. Raises `InstallFailed`.

        `seal` names the content: a version that is there with the same seal is left as it is.
        """

    def switch(self, version: str) -> None:
        """Point the next start to an installed version, in one step that a power cut cannot halve."""

    def restart(self) -> None:
        """Stop the program and start the version that is pointed to; returns once that is under way."""

    def remove(self, version: str) -> None:
        """Remove a version, which neither runs nor is pointed to."""

    def sweep(self) -> None:
        """Remove what an act left that was cut."""


class Source(Protocol):
    """Where releases come from. Nothing that it gives is believed."""

    def read(self, name: str, most: int) -> bytes | None:
        """A small file, None if there is none. Raises `Refused` when it cannot be had or has more bytes."""

    def stream(self, name: str, offset: int) -> Iterator[bytes]:
        """A file from a place on, in pieces. Raises `Refused`."""


class Time(Protocol):
    """The part of `firmware.clock.Clock` that counts here."""

    def wall(self) -> float:
        """UTC seconds since 1970."""

    def monotonic(self) -> float:
        """Seconds that never run backwards."""

    def quality(self) -> ClockQuality:
        """How far `wall` can be trusted."""


class FolderSource:
    """A folder: a USB stick, or a share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str, most: int) -> bytes | None:
        """A small file, None if there is none."""
        try:
            with (self._folder / name).open("rb") as file:
                data = file.read(most + 1)
        except FileNotFoundError:
            if self._folder.is_dir():
                return None
            raise Refused(because("UPD-001", detail=f"{self._folder} is not there")) from None
        except OSError as error:
            raise Refused(because("UPD-001", detail=str(error))) from None
        if len(data) > most:
            raise Refused(because("UPD-003", field="$", detail=f"{name} has more than {most} bytes"))
        return data

    def stream(self, name: str, offset: int) -> Iterator[bytes]:
        """A file from a place on."""
        try:
            with (self._folder / name).open("rb") as file:
                file.seek(offset)
                while piece := file.read(1 << 18):
                    yield piece
        except OSError as error:
            raise Refused(because("UPD-001", detail=str(error))) from None
