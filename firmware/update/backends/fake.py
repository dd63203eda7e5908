"""A backend in memory: the same rules as the real ones, and programs that only have a name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path


class FakeBackend:
    """`begins` says whether a version's program comes up; a machine outlives the agents that work on it."""

    def __init__(self, version: str, begins: Callable[[str], bool] = lambda _version: True) -> None:
        self.versions = {version: ""}
        self.pointer: str | None = version
        self.process: str | None = version
        self.room = 1 << 40
        self.acts: list[str] = []
        self._begins = begins

    def running(self) -> str | None:
        """What runs."""
        return self.process

    def pointed(self) -> str | None:
        """What runs next."""
        return self.pointer

    def installed(self) -> frozenset[str]:
        """What is there."""
        return frozenset(self.versions)

    def free(self) -> int:
        """Bytes."""
        return self.room

    def install(self, version: str, files: Sequence[Path], seal: str) -> None:
        """Remembers a version."""
        self.acts.append(f"install {version}")
        self.versions[version] = seal

    def switch(self, version: str) -> None:
        """Points to a version."""
        self.acts.append(f"switch {version}")
        if version not in self.versions:
            raise FileNotFoundError(f"there is no version {version}")
        self.pointer = version

    def restart(self) -> None:
        """Starts what is pointed to, if it comes up."""
        self.acts.append("restart")
        self.process = self.pointer if self.pointer and self._begins(self.pointer) else None

    def remove(self, version: str) -> None:
        """Forgets a version."""
        if version in (self.process, self.pointer):
            raise OSError(f"version {version} is in use")
        del self.versions[version]

    def sweep(self) -> None:
        """Nothing is ever half."""
