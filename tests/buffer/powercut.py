"""A disk after a power cut, made from a record of every write, name and sync; no test lives here.

Bytes: what a file was told before its last completed sync is on the disk. Each write after that has survived,
vanished, or is torn at a sector of 512 bytes, by chance and independently of the others. A change of length
after the last sync has survived or not.

Names: a new, changed or deleted name is on the disk once its folder was synced, and by chance before. Of the
changes that were not synced those up to one moment have survived (a journal that keeps the order, as that of
ext4), or each by chance (`loose`, as POSIX allows). The sync of a file does not make its name durable, though
ext4 does that. A rename never loses the file: at worst both names are there.
"""

from __future__ import annotations

import os
import random
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path, PurePosixPath

SECTOR = 512
_ROOT = 0


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
        held = length if kind in "waml" else 0
        yield Record(kind, name, offset, length, raw[at : at + held])
        at += held


@dataclass
class _File:
    content: bytearray = field(default_factory=bytearray)
    unsynced: list[Record] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Edit:
    """A folder (by its number) gets or loses (`inode` None) a name."""

    folder: int
    name: str
    inode: int | None


class Disk:
    """Follows the recording; `cut` writes what a power cut at this point leaves."""

    def __init__(self) -> None:
        self._inodes = count(_ROOT + 1)
        self._files: dict[int, _File] = {}
        self._now: dict[int, dict[str, int]] = {_ROOT: {}}
        self._durable: dict[int, dict[str, int]] = {_ROOT: {}}
        self._pending: list[list[_Edit]] = []

    def follow(self, record: Record) -> None:
        """One more thing happened."""
        match record.kind:
            case "c" | "d":
                self._make(record.name, folder=record.kind == "d")
            case "u":
                self._change(self._edit(record.name, None))
            case "m" | "l":
                self._rename(record.name, record.data.decode(), keep=record.kind == "l")
            case "n":
                self._sync_folder(record.name)
            case _:
                self._write(record)

    # -- bytes -------------------------------------------------------------------------------------------

    def _write(self, record: Record) -> None:
        inode = self._find(record.name)
        if inode is None:
            inode = self._make(record.name, folder=False)
        file = self._files[inode]
        if record.kind == "s":
            for write in file.unsynced:
                _apply(file.content, write)
            file.unsynced.clear()
        else:
            file.unsynced.append(record)

    # -- names -------------------------------------------------------------------------------------------

    def _find(self, name: str) -> int | None:
        inode: int | None = _ROOT
        for part in PurePosixPath(name).parts:
            inode = self._now[inode].get(part) if inode in self._now else None
        return inode

    def _edit(self, name: str, inode: int | None) -> _Edit:
        path = PurePosixPath(name)
        folder = self._find(str(path.parent))
        assert folder is not None, f"the folder of {name} was never made"
        return _Edit(folder, path.name, inode)

    def _make(self, name: str, *, folder: bool) -> int:
        inode = next(self._inodes)
        if folder:
            self._now[inode], self._durable[inode] = {}, {}
        else:
            self._files[inode] = _File()
        self._change(self._edit(name, inode))
        return inode

    def _rename(self, old: str, new: str, *, keep: bool) -> None:
        inode = self._find(old)
        assert inode is not None, f"{old} was never made"
        if self._find(new) == inode:  # two names of one file: rename(2) does nothing
            return
        added = self._edit(new, inode)
        self._change(*((added,) if keep else (added, self._edit(old, None))))

    def _change(self, *edits: _Edit) -> None:
        for edit in edits:
            _put(self._now, edit)
        self._pending.append(list(edits))

    def _sync_folder(self, name: str) -> None:
        folder = self._find(name)
        for change in self._pending:
            while any(edit.folder == folder for edit in change):
                # in this order: the new name is there before the old one goes
                _put(self._durable, change.pop(0))
        self._pending = [change for change in self._pending if change]

    # -- the cut -----------------------------------------------------------------------------------------

    def cut(self, folder: Path, chance: random.Random, *, loose: bool = False) -> None:
        """The files as they may look afterwards."""
        names = {inode: dict(entries) for inode, entries in self._durable.items()}
        survived = chance.randint(0, len(self._pending))
        for number, change in enumerate(self._pending):
            if chance.random() < 0.5 if loose else number < survived:
                for edit in change:
                    _put(names, edit)
        contents: dict[int, bytearray] = {}
        self._moment = time.time() - 60
        self._lay_out(_ROOT, folder, names, contents, chance)

    def _lay_out(
        self,
        inode: int,
        folder: Path,
        names: dict[int, dict[str, int]],
        contents: dict[int, bytearray],
        chance: random.Random,
    ) -> None:
        folder.mkdir(exist_ok=True)
        for name, child in names[inode].items():
            if child in names:
                self._lay_out(child, folder / name, names, contents, chance)
                continue
            if child not in contents:  # two names of one file have the same bytes
                contents[child] = _survived(self._files[child], chance)
            (folder / name).write_bytes(contents[child])
            # A tick of the clock between two files here is none that was between them there.
            os.utime(folder / name, (self._moment, self._moment))


def _put(names: dict[int, dict[str, int]], edit: _Edit) -> None:
    if edit.inode is None:
        names[edit.folder].pop(edit.name, None)
    else:
        names[edit.folder][edit.name] = edit.inode


def _survived(file: _File, chance: random.Random) -> bytearray:
    content = bytearray(file.content)
    for write in file.unsynced:
        fate = chance.random()
        if fate < 0.4:
            _apply(content, write)
        elif fate < 0.6 and write.kind == "w":
            _apply(content, _torn(write, chance))
    return content


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
