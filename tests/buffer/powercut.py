"""A disk after a power cut, made from a record of every write and sync; no test lives here.

The model: what a file was told before its last completed sync is on the disk. Each write after that has
survived, vanished, or is torn at a sector of 512 bytes, by chance and independently of the others. A change
of length after the last sync has survived or not. Files that were deleted are gone at once.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512


@dataclass(frozen=True, slots=True)
class Record:
    """One thing the process did; see `recorder.c`."""

    kind: str
    name: str
    offset: int
    length: int
    data: bytes


def read_records(path: Path) -> list[Record]:
    """Everything in the recording."""
    return list(_parse(path.read_bytes()))


def _parse(raw: bytes) -> Iterator[Record]:
    at = 0
    while at + 2 <= len(raw):
        kind, named = chr(raw[at]), raw[at + 1]
        at += 2
        name = raw[at : at + named].decode()
        at += named
        offset, length = struct.unpack_from("<QQ", raw, at)
        at += 16
        held = length if kind in "wa" else 0
        yield Record(kind, name, offset, length, raw[at : at + held])
        at += held


@dataclass
class _File:
    content: bytearray = field(default_factory=bytearray)
    unsynced: list[Record] = field(default_factory=list)


class Disk:
    """Follows the recording; `cut` writes what a power cut at this point leaves."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}

    def follow(self, record: Record) -> None:
        """One more thing happened."""
        if record.kind == "u":
            self._files.pop(record.name, None)
            return
        file = self._files.setdefault(record.name, _File())
        if record.kind == "s":
            for write in file.unsynced:
                _apply(file.content, write)
            file.unsynced.clear()
        else:
            file.unsynced.append(record)

    def cut(self, folder: Path, chance: random.Random) -> None:
        """The files as they may look afterwards."""
        for name, file in self._files.items():
            content = bytearray(file.content)
            for write in file.unsynced:
                fate = chance.random()
                if fate < 0.4:
                    _apply(content, write)
                elif fate < 0.6 and write.kind == "w":
                    _apply(content, _torn(write, chance))
            (folder / name).write_bytes(content)


def _torn(write: Record, chance: random.Random) -> Record:
    sectors = len(write.data) // SECTOR
    kept = chance.randint(0, sectors) * SECTOR
    return Record("w", write.name, write.offset, kept, write.data[:kept])


def _apply(content: bytearray, write: Record) -> None:
    if write.kind in "tf":
        if write.kind == "t" and write.length < len(content):
            del content[write.length :]
        elif write.length > len(content):
            content.extend(bytes(write.length - len(content)))
        return
    if not write.data:
        return
    end = write.offset + len(write.data)
    if end > len(content):
        content.extend(bytes(end - len(content)))
    content[write.offset : end] = write.data


def cut_points(records: Sequence[Record], count: int, chance: random.Random) -> list[int]:
    """Where to cut, in order: anywhere after the store said that it is open."""
    first = next(n for n, record in enumerate(records) if record.data.startswith(b"open"))
    return sorted(chance.randrange(first, len(records)) for _ in range(count))
