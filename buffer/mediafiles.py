"""How media files come in: temporary file, fsync, rename, folder fsync; blocking, for a thread.

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

from buffer.errors import MediaMissing, from_os
from buffer.folders import durable_folder, sync_folder

_NAME = re.compile(r"[0-9a-f]{64}")
_INCOMING = "incoming"
_WHAT = "the media file"


class Incoming:
    """A file that is being written, with its hash so far."""

    def __init__(self, root: Path) -> None:
        """Begin a temporary file below `root`. Raises DiskFull, StorageFailed."""
        self.size = 0
        self._hash = hashlib.sha256()
        with translated():
            self.path = _temporary(root)
            self._file = self.path.open("xb")

    def write(self, chunk: bytes) -> None:
        """Append. Raises DiskFull, StorageFailed."""
        with translated():
            self._file.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)

    def finish(self) -> str:
        """Put everything on the disk; the hash. Raises DiskFull, StorageFailed."""
        with translated():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        return self._hash.hexdigest()

    def discard(self) -> None:
        """Leave nothing behind; also after the file has been kept, when there is nothing to do."""
        with suppress(OSError):  # a full disk fails the flush inside close; the file goes all the same
            self._file.close()
        clear(self.path)


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
    with translated():
        temporary = _temporary(root)
        try:
            _link_or_copy(source, temporary, link=link)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
                return temporary, hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
        except BaseException:
            clear(temporary)
            raise


def settle(temporary: Path, final: Path) -> None:
    """Give a complete temporary file its place; a file there has the same bytes, or damaged ones."""
    with translated():
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            temporary.rename(final)
        finally:
            # rename(2) leaves both names when they are the same file already.
            clear(temporary)
        sync_folder(final.parent)
        sync_folder(final.parent.parent)


def remove(paths: Iterable[Path]) -> int:
    """Delete these; how many were there. A folder that is not writable raises StorageFailed."""
    count = 0
    for path in paths:
        with translated(), suppress(FileNotFoundError):
            path.unlink()
            count += 1
    return count


def size_of(path: Path) -> int:
    """Length in bytes of a file that is to be taken in."""
    with translated():
        return path.stat().st_size


def incoming(root: Path) -> Path:
    """Where files are that are not complete."""
    return root / _INCOMING


def confirm(root: Path) -> None:
    """Put the name of the folder of all media, if there is one, on the disk: the run that made it may have
    been cut short before it did. Raises StorageFailed."""
    with translated():
        if root.is_dir():
            durable_folder(root)


def _temporary(root: Path) -> Path:
    folder = incoming(root)
    if not folder.is_dir():
        durable_folder(folder)
    return folder / uuid.uuid4().hex


def _link_or_copy(source: Path, target: Path, *, link: bool) -> None:
    if link:
        with suppress(OSError):  # another file system, or not ours to link: then the bytes are copied
            os.link(source, target)
            return
    shutil.copyfile(source, target)


def clear(temporary: Path) -> None:
    """A disk that does not even delete must not hide why it came to this; the next start clears it away."""
    with suppress(OSError):
        temporary.unlink(missing_ok=True)


@contextmanager
def translated() -> Iterator[None]:
    """Turns what the operating system says into the errors of this room."""
    try:
        yield
    except FileNotFoundError as error:
        raise MediaMissing(f"There is no media file {Path(error.filename or '').name}.") from error
    except OSError as error:
        raise from_os(error, _WHAT) from error
