"""The file work of the media store: temporary file, fsync, rename, folder fsync; blocking, for a thread.

A file `sha256` lives at `root/ab/sha256` with `ab` its first two digits; `root/incoming` holds what is not
complete yet and may be emptied at any start.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from buffer.errors import MediaMissing, from_os
from buffer.folders import durable_folder, sync_folder

_NAME = re.compile(r"[0-9a-f]{64}")
_INCOMING = "incoming"
_WHAT = "the media file"
_PIECE = 1 << 20


class Incoming:
    """A file that is being written, with its hash so far."""

    def __init__(self, root: Path) -> None:
        """Begin a temporary file below `root`. Raises DiskFull, StorageFailed."""
        self.size = 0
        self._hash = hashlib.sha256()
        with _translated():
            self.path = _temporary(root)
            self._file = self.path.open("xb")

    def write(self, chunk: bytes) -> None:
        """Append. Raises DiskFull, StorageFailed."""
        with _translated():
            self._file.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)

    def finish(self) -> str:
        """Put everything on the disk; the hash. Raises DiskFull, StorageFailed."""
        with _translated():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        return self._hash.hexdigest()

    def discard(self) -> None:
        """Leave nothing behind; also after the file has been kept, when there is nothing to do."""
        with suppress(OSError):  # a full disk fails the flush inside close; the file goes all the same
            self._file.close()
        _clear(self.path)


def is_hash(name: str) -> bool:
    """Whether this is a SHA-256 in lower-case hex, so that it can never lead out of the folder."""
    return _NAME.fullmatch(name) is not None


def place(root: Path, sha256: str) -> Path:
    """Where this file lives."""
    return root / sha256[:2] / sha256


def take_in(root: Path, source: Path, *, link: bool) -> tuple[Path, str, int]:
    """A temporary file with the bytes of `source`, on the disk; its path, hash and size.

    With `link` it is another name of the same file, where the file system allows that.
    """
    with _translated():
        temporary = _temporary(root)
        try:
            _link_or_copy(source, temporary, link=link)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
                return temporary, hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
        except BaseException:
            _clear(temporary)
            raise


def settle(temporary: Path, final: Path) -> None:
    """Give a complete temporary file its place; a file there has the same bytes, or damaged ones."""
    with _translated():
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            temporary.rename(final)
        finally:
            # rename(2) leaves both names when they are the same file already.
            _clear(temporary)
        sync_folder(final.parent)
        sync_folder(final.parent.parent)


def remove(paths: Iterable[Path]) -> int:
    """Delete these; how many were there. A folder that is not writable raises StorageFailed."""
    count = 0
    for path in paths:
        with _translated(), suppress(FileNotFoundError):
            path.unlink()
            count += 1
    return count


def present(root: Path) -> dict[str, Path]:
    """Every file by its name; what was left incomplete is deleted."""
    with _translated():
        remove((root / _INCOMING).glob("*"))
        return {path.name: path for path in root.glob("??/*") if is_hash(path.name)}


def listed(root: Path) -> list[tuple[str, int, float]]:
    """Name, length in bytes and time of writing (seconds since 1970) of every file."""
    found = []
    with _translated():
        for path in root.glob("??/*"):
            if is_hash(path.name):
                with suppress(FileNotFoundError):
                    stat = path.stat()
                    found.append((path.name, stat.st_size, stat.st_mtime))
    return found


def stored_bytes(root: Path, sha256: str) -> int | None:
    """How many bytes this file takes on the disk; None when it is not there."""
    if not is_hash(sha256):
        return None
    with suppress(MediaMissing):
        return size_of(place(root, sha256))
    return None


def copy_out(root: Path, sha256: str, target: Path) -> bool:
    """Put the bytes of a file at `target`, complete or not at all; false when they lost their hash.

    Raises MediaMissing when the file is not there, OSError when the target cannot be written.
    """
    if not is_hash(sha256):
        raise MediaMissing(f"{sha256!r} is not the name of a media file.")
    temporary = target.with_name(f".{target.name}.tmp")
    hashed = hashlib.sha256()
    try:
        with open_file(place(root, sha256)) as source, temporary.open("wb") as copy:
            while piece := _read(source):
                hashed.update(piece)
                copy.write(piece)
            copy.flush()
            os.fsync(copy.fileno())
        if hashed.hexdigest() != sha256:
            return False
        temporary.replace(target)
        sync_folder(target.parent)
        return True
    finally:
        temporary.unlink(missing_ok=True)


def _read(source: BinaryIO) -> bytes:
    with _translated():
        return source.read(_PIECE)


def open_file(path: Path) -> BinaryIO:
    """Open for reading."""
    with _translated():
        return path.open("rb")


def size_of(path: Path) -> int:
    """Length in bytes."""
    with _translated():
        return path.stat().st_size


def read_piece(path: Path, offset: int, length: int) -> bytes:
    """At most `length` bytes from `offset` on."""
    with _translated(), path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


def hash_of(path: Path) -> str:
    """SHA-256 in hex."""
    with _translated(), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def confirm(root: Path) -> None:
    """Put the name of the folder of all media, if there is one, on the disk: the run that made it may have
    been cut short before it did. Raises StorageFailed."""
    with _translated():
        if root.is_dir():
            durable_folder(root)


def _temporary(root: Path) -> Path:
    folder = root / _INCOMING
    if not folder.is_dir():
        durable_folder(folder)
    return folder / uuid.uuid4().hex


def _link_or_copy(source: Path, target: Path, *, link: bool) -> None:
    if link:
        with suppress(OSError):  # another file system, or not ours to link: then the bytes are copied
            os.link(source, target)
            return
    shutil.copyfile(source, target)


def _clear(temporary: Path) -> None:
    """A disk that does not even delete must not hide why it came to this; the next start clears it away."""
    with suppress(OSError):
        temporary.unlink(missing_ok=True)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise MediaMissing(f"There is no media file {Path(error.filename or '').name}.") from error
    except OSError as error:
        raise from_os(error, _WHAT) from error
