"""Media files at rest: plain or packed, in one folder or several; blocking, for a thread.

A file lies at `<folder>/ab/<sha256>`, or packed at `<folder>/ab/<sha256>.gz` (see `packing.py`); callers see
the same bytes. New files go to the first folder; the others hold what was taken in before the folder was
changed. Both forms at once are possible after a power cut, and the plain one counts.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from buffer import packing
from buffer.errors import MediaDamaged, MediaMissing, StorageFailed
from buffer.folders import sync_folder
from buffer.mediafiles import clear, incoming, is_hash, place, remove, translated

_PACKED = ".gz"

T = TypeVar("T")


class Shelves:
    """The folders. Raises MediaMissing for a name that is not there, MediaDamaged, StorageFailed also when a
    folder of earlier files is away."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(folders)

    # -- reading -----------------------------------------------------------------------------------------

    def open(self, sha256: str) -> BinaryIO:
        """The plain bytes, open for reading; the caller closes it."""

        def opened(path: Path, packed: bool) -> BinaryIO:
            return cast(BinaryIO, gzip.open(path, "rb")) if packed else path.open("rb")

        return self._at(sha256, opened)

    def size(self, sha256: str) -> int:
        """Plain bytes."""
        return self._at(sha256, lambda path, packed: packing.plain_size(path) if packed else _size(path))

    def disk_bytes(self, sha256: str) -> int | None:
        """Bytes on the disk; None when it cannot be seen there."""
        with suppress(MediaMissing, StorageFailed):
            return self._at(sha256, lambda path, _: _size(path))
        return None

    def read(self, sha256: str, offset: int, length: int) -> bytes:
        """At most `length` plain bytes from `offset` on."""

        def piece(path: Path, packed: bool) -> bytes:
            if packed:
                return packing.read_at(path, offset, length)
            with path.open("rb") as file:
                file.seek(offset)
                return file.read(length)

        return self._at(sha256, piece)

    def sound(self, sha256: str) -> bool:
        """Whether the plain bytes still have the hash that names them."""
        hashed = hashlib.sha256()
        try:
            for piece in self._pieces(sha256):
                hashed.update(piece)
        except MediaDamaged:
            return False
        return hashed.hexdigest() == sha256

    def copy_out(self, sha256: str, target: Path) -> bool:
        """Put the plain bytes at `target`, complete or not at all; false when they lost their hash.

        Raises OSError when the target cannot be written.
        """
        temporary = target.with_name(f".{target.name}.tmp")
        hashed = hashlib.sha256()
        try:
            with temporary.open("wb") as copy:
                for piece in self._pieces(sha256):
                    hashed.update(piece)
                    copy.write(piece)
                copy.flush()
                os.fsync(copy.fileno())
            if hashed.hexdigest() != sha256:
                return False
            temporary.replace(target)
            sync_folder(target.parent)
            return True
        except MediaDamaged:
            return False
        finally:
            clear(temporary)

    def _pieces(self, sha256: str) -> Iterator[bytes]:
        offset = 0
        while piece := self.read(sha256, offset, packing.MEMBER):
            yield piece
            offset += len(piece)

    # -- what there is -----------------------------------------------------------------------------------

    def names(self) -> set[str]:
        """Every file; what was left incomplete is deleted."""
        for folder in self.folders:
            remove(incoming(folder).glob("*"))
        return {name for name, _, _ in self.listed()}

    def listed(self) -> list[tuple[str, int, float]]:
        """Name, bytes on the disk and time of writing (seconds since 1970) of every file."""
        found: dict[str, tuple[int, float]] = {}
        with translated():
            for folder in self.folders:
                for path in folder.glob("??/*"):
                    name = path.name.removesuffix(_PACKED)
                    if is_hash(name):
                        with suppress(FileNotFoundError):
                            stat = path.stat()
                            size, written = found.get(name, (0, stat.st_mtime))
                            found[name] = (size + stat.st_size, min(written, stat.st_mtime))
        return [(name, size, written) for name, (size, written) in found.items()]

    def remove(self, names: Iterable[str]) -> int:
        """Delete these, in every form; how many were there."""
        return sum(bool(remove(self._forms(name))) for name in names)

    # -- packing -----------------------------------------------------------------------------------------

    def worth_packing(self, sha256: str) -> bool:
        """Whether this file lies plain, and samples of it shrink."""
        with _found(sha256):
            path, packed = self._find(sha256)
            return not packed and packing.worth_packing(path)

    def pack(self, sha256: str) -> Path | None:
        """A packed copy that was read back and compared, on the disk but not at its place (`settle_packed`).

        None when it saves too little, or when the file is not what its name says.
        """
        with _found(sha256):
            plain = self._find(sha256)[0]
            temporary = incoming(plain.parent.parent) / f"{sha256}{_PACKED}"
            temporary.parent.mkdir(parents=True, exist_ok=True)
            try:
                if _packed_well(plain, temporary, sha256):
                    return temporary
                clear(temporary)
            except BaseException:
                clear(temporary)
                raise
        return None

    def settle_packed(self, temporary: Path, sha256: str) -> bool:
        """Put the packed copy in the place of the plain file, unless that went away meanwhile."""
        with _found(sha256):
            plain, packed = self._find(sha256)
            if packed or plain.parent.parent != temporary.parent.parent:
                clear(temporary)
                return False
            target = plain.with_name(plain.name + _PACKED)
            temporary.replace(target)
            sync_folder(target.parent)
            plain.unlink()
            return True

    def _at(self, sha256: str, look: Callable[[Path, bool], T]) -> T:
        """What `look` makes of the file; once more when it was packed between finding and opening it."""
        with _found(sha256):
            try:
                return look(*self._find(sha256))
            except FileNotFoundError:
                return look(*self._find(sha256))

    def _find(self, sha256: str) -> tuple[Path, bool]:
        """The file and whether it is packed. Raises FileNotFoundError."""
        if is_hash(sha256):
            for path in self._forms(sha256):
                if path.is_file():
                    return path, path.name.endswith(_PACKED)
            self._refuse_while_one_is_away()
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), sha256)

    def _refuse_while_one_is_away(self) -> None:
        """A file in a folder that cannot be seen now, as on a disk that was unplugged, is not lost."""
        for folder in self.folders[1:]:
            if not folder.is_dir():
                raise OSError(errno.ENODEV, f"{folder} is not there, its disk may be unplugged")

    def _forms(self, sha256: str) -> list[Path]:
        plain = [place(folder, sha256) for folder in self.folders]
        return [*plain, *(path.with_name(path.name + _PACKED) for path in plain)]


def _packed_well(plain: Path, temporary: Path, sha256: str) -> bool:
    with plain.open("rb") as source, temporary.open("wb") as target:
        size = packing.pack(source, target)
        target.flush()
        os.fsync(target.fileno())
    stat = plain.stat()
    os.utime(temporary, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # its age counts for the retention
    hashed = hashlib.sha256()
    for piece in packing.pieces(temporary):
        hashed.update(piece)
    return size <= packing.WORTH * stat.st_size and hashed.hexdigest() == sha256


def _size(path: Path) -> int:
    return path.stat().st_size


@contextmanager
def _found(sha256: str) -> Iterator[None]:
    try:
        with translated():
            yield
    except packing.Damaged as error:
        raise MediaDamaged(f"The packed media file {sha256} is damaged.") from error
