"""Kills whatever runs at its n-th change of the disk: before it, after it, or in the middle of a write."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

CALLS = ("open", "write", "fsync", "replace", "rename", "unlink", "rmdir", "mkdir", "symlink")
WRITING = os.O_WRONLY | os.O_RDWR
NEEDS_ROOM = {"open", "write", "mkdir", "symlink"}


class Killed(BaseException):
    """The process is no more; nothing may catch it."""


class Tripwire:
    """Counts changes of the disk. `how`: before, after, torn (half a write), full (no room from there)."""

    def __init__(self, at: int | None, how: str = "before", *, power: bool = False) -> None:
        self.count = 0
        self.hit = ""
        self._at, self._how, self._power = at, how, power
        self._paths: dict[int, str] = {}
        self._unflushed: set[str] = set()
        self._folders: dict[int, str] = {}
        self._renamed: list[tuple[str, str, str | bytes | None]] = []
        self._real = {name: getattr(os, name) for name in CALLS}

    @contextmanager
    def laid(self) -> Iterator[Tripwire]:
        """In force inside."""
        patches = [mock.patch.object(os, name, self._watched(name)) for name in CALLS]
        for patch in patches:
            patch.start()
        try:
            yield self
        finally:
            for patch in patches:
                patch.stop()
            if self.hit and self._power:
                self._lose()

    def _watched(self, name: str) -> Callable[..., Any]:
        real = self._real[name]

        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "open" and not args[1] & WRITING:
                handle = real(*args, **kwargs)
                self._paths.pop(handle, None)
                self._folders[handle] = str(args[0])
                return handle
            if self.hit and self._how != "full":
                raise Killed
            self.count += 1
            if self.count == self._at or self.hit:
                return self._trip(name, real, args, kwargs)
            return self._do(name, real, args, kwargs)

        return call

    def _trip(self, name: str, real: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        self.hit = self.hit or f"{name} {args[0]}"
        if self._how == "full":
            if name in NEEDS_ROOM:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self._do(name, real, args, kwargs)
        if self._how == "after":
            self._do(name, real, args, kwargs)
        elif self._how == "torn" and name == "write":
            self._do(name, real, (args[0], bytes(args[1])[: len(args[1]) // 2]), kwargs)
        raise Killed

    def _do(self, name: str, real: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if name == "fsync":
            self._unflushed.discard(self._paths.get(args[0], ""))
            folder = self._folders.get(args[0])
            self._renamed = [each for each in self._renamed if os.path.dirname(each[1]) != folder]
            return None  # the disk need not really be asked
        if name in ("replace", "rename"):
            self._renamed.append((str(args[0]), str(args[1]), _content(str(args[1]))))
        done = real(*args, **kwargs)
        if name == "open":
            self._folders.pop(done, None)
            self._paths[done] = str(args[0])
        elif name == "write":
            self._unflushed.add(self._paths.get(args[0], ""))
        elif name in ("replace", "rename"):
            self._unflushed = {path.replace(str(args[0]), str(args[1]), 1) for path in self._unflushed}
        return done

    def _lose(self) -> None:
        """After a power cut: what was not flushed is empty; a name whose folder was not is the former."""
        for path in self._unflushed:
            if Path(path).is_file():
                os.truncate(path, 0)
        for source, target, before in reversed(self._renamed):
            if os.path.lexists(target):
                os.rename(target, source)
            if isinstance(before, bytes):
                Path(target).write_bytes(before)
            elif before is not None:
                Path(target).symlink_to(before)


def _content(path: str) -> str | bytes | None:
    """What a name leads to, so that it can be put back: a link's text, a file's bytes, None for nothing."""
    if Path(path).is_symlink():
        return str(Path(path).readlink())
    return Path(path).read_bytes() if Path(path).is_file() else None
