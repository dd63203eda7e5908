"""What is being sent just now, written beside the database so that a program that dies of it is found out.

Written without any flush: what a dying process wrote stays in the kernel, so a crash leaves the truth here at
the price of one small system call. A power cut may leave anything, but a power cut is no crash, and nobody
reads this after one.
"""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path

_LOG = logging.getLogger(__name__)
_MOST = 500
_SIZE = 4096


class Hands:
    """A file of one page: a count and message ids. Without room for it the buffer works as well."""

    def __init__(self, path: Path) -> None:
        """`path` is that of the database."""
        self._handle: int | None = None
        try:
            self._handle = os.open(
                path.with_name(path.name + ".hands"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640
            )
            if os.fstat(self._handle).st_size < _SIZE:
                os.pwrite(self._handle, bytes(_SIZE), 0)
        except OSError as error:
            _LOG.info("what is being sent cannot be noted: %s", error)

    def read(self) -> list[int]:
        """What the last run had in hand at its end; nothing when that cannot be read."""
        if self._handle is None:
            return []
        try:
            raw = os.pread(self._handle, _SIZE, 0)
        except OSError as error:
            _LOG.info("what was being sent cannot be read: %s", error)
            return []
        if len(raw) < _SIZE:  # the disk was full when it was made
            return []
        count = struct.unpack_from("<I", raw)[0]
        return list(struct.unpack_from(f"<{count}q", raw, 8)) if count <= _MOST else []

    def hold(self, ids: Iterable[int]) -> None:
        """These are in hand now, and nothing else."""
        if self._handle is not None:
            held = list(islice(ids, _MOST))
            with suppress(OSError):  # a disk with a bad day: a suspicion less, no message
                os.pwrite(self._handle, struct.pack(f"<Ixxxx{len(held)}q", len(held), *held), 0)

    def close(self) -> None:
        """Let go of the file. Safe to call twice."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
