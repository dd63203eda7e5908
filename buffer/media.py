"""Media files by their SHA-256: taking in, reading, verifying, letting go; who needs them is not known here.

The order that survives a power cut: the file is complete and on the disk before a message names it, and it
goes only after no message names it. A file that lost its message in between is swept at the next start.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from buffer import mediafiles
from buffer.errors import MediaMissing, MediaTooLarge
from buffer.message import MediaRef
from buffer.retention import MediaRules, Plan, StoredFile, plan
from buffer.shelves import Shelves

_LOG = logging.getLogger(__name__)
_WRITE_BYTES = 256 * 1024
DEFAULT_MAX_BYTES = 512 * 1024 * 1024


class References(Protocol):
    """Who knows which files messages refer to; the store."""

    async def media_in_use(self, hashes: Collection[str]) -> set[str]:
        """Those of these names that a message refers to."""

    async def all_media(self) -> set[str]:
        """Every name that a message refers to."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What the check at start found: files removed because nobody named them, and names without a file."""

    removed: int
    missing: frozenset[str]


class MediaStore:
    """A folder of files named by their content.

    Whoever adds a file holds it until `release`: add, `put` the message that names it, release. From then on
    the message keeps it. The original of a moved file goes away only with that release, so a power cut
    before the message was stored leaves the original where it was.
    """

    def __init__(
        self,
        root: Path,
        references: References,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        keep_uploaded: bool = False,
        also: Sequence[Path] = (),
    ) -> None:
        """Keep files in `root`, each at most `max_bytes` long; `also` are folders that hold earlier ones.

        With `keep_uploaded` a file that no message needs any more stays until `tidy` lets it go.
        """
        self._shelves = Shelves((root, *also))
        self._as_they_are: set[str] = set()
        self._keep_uploaded = keep_uploaded
        self._root = root
        self._references = references
        self._max_bytes = max_bytes
        self._holds: Counter[str] = Counter()
        self._originals: dict[str, list[Path]] = {}
        self._lock = asyncio.Lock()

    async def add_file(self, path: Path, mime: str, name: str, role: str, *, move: bool) -> MediaRef:
        """Take in a file and hold it. A moved one is linked, not copied, where the file system can.

        Raises MediaTooLarge, MediaMissing for a path without a file, DiskFull, StorageFailed.
        """
        size = await asyncio.to_thread(mediafiles.size_of, path)
        self._refuse_too_large(size)
        temporary, sha256, size = await asyncio.to_thread(mediafiles.take_in, self._root, path, link=move)
        await self._keep(temporary, sha256)
        if move:
            self._originals.setdefault(sha256, []).append(path)
        return MediaRef(sha256, size, mime, name, role)

    async def add_stream(
        self, chunks: AsyncIterator[bytes], mime: str, name: str, role: str, *, limit: int | None = None
    ) -> MediaRef:
        """Take in bytes as they come and hold them; at most `limit` of them if that is less than our own.

        Raises MediaTooLarge, DiskFull, StorageFailed; nothing is left behind then.
        """
        limit = self._max_bytes if limit is None else min(limit, self._max_bytes)
        incoming = await asyncio.to_thread(mediafiles.Incoming, self._root)
        try:
            async for chunk in _gathered(chunks):
                self._refuse_too_large(incoming.size + len(chunk), limit)
                await asyncio.to_thread(incoming.write, chunk)
            sha256 = await asyncio.to_thread(incoming.finish)
            await self._keep(incoming.path, sha256)
        except BaseException:
            incoming.discard()
            raise
        return MediaRef(sha256, incoming.size, mime, name, role)

    async def release(self, sha256: str, *, stored: bool = True) -> None:
        """End one hold; `stored` tells whether the message that names the file was accepted.

        The file stays as long as somebody else holds it or a message names it. The original of a moved file
        is deleted when the message was accepted, and left alone otherwise.
        """
        async with self._lock:
            self._holds[sha256] -= 1
            if self._holds[sha256] <= 0:
                del self._holds[sha256]
        originals = self._originals.get(sha256, [])
        done = [originals.pop(0)] if originals else []
        if not originals:
            self._originals.pop(sha256, None)
        if stored:
            await asyncio.to_thread(mediafiles.remove, done)
        await self.collect([sha256])

    async def collect(self, hashes: Collection[str]) -> int:
        """Remove those of these files that nobody holds and no message names; how many went."""
        if not hashes or self._keep_uploaded:
            return 0
        async with self._lock:
            used = await self._references.media_in_use(hashes)
            free = [sha256 for sha256 in hashes if sha256 not in used and sha256 not in self._holds]
            return await asyncio.to_thread(self._shelves.remove, free)

    async def sweep(self) -> Sweep:
        """Put folder and messages in agreement after a start: unnamed files go, missing ones are told.

        Raises StorageFailed.
        """
        async with self._lock:
            await asyncio.to_thread(mediafiles.confirm, self._root)
            used = await self._references.all_media()
            present = await asyncio.to_thread(self._shelves.names)
            orphans = set() if self._keep_uploaded else present - used - self._holds.keys()
            await asyncio.to_thread(self._shelves.remove, orphans)
        missing = frozenset(used - present)
        if missing:
            _LOG.error("%d media files that messages name are not on the disk", len(missing))
        return Sweep(len(orphans), missing)

    async def tidy(self, rules: MediaRules, *, clock_trusted: bool) -> Plan:
        """Delete what the rules say; what went. Raises StorageFailed."""
        async with self._lock:
            used = await self._references.all_media()
            listed = await asyncio.to_thread(self._shelves.listed)
            now = time.time()
            files = [
                StoredFile(name, size, now - modified, uploaded=name not in used, held=name in self._holds)
                for name, size, modified in listed
            ]
            chosen = plan(files, rules, clock_trusted=clock_trusted)
            going = [file.sha256 for file in chosen.remove + chosen.lose]
            await asyncio.to_thread(self._shelves.remove, going)
        if chosen.lose:
            _LOG.error(
                "the storage for media is full: %d files that were not uploaded yet were given up",
                len(chosen.lose),
            )
        return chosen

    async def pack(self, most: int) -> int:
        """Pack files that shrink by a fifth or more; how many. Looks at `most` of them, the smallest first.

        Readers see the same bytes before, meanwhile and afterwards. Raises DiskFull, StorageFailed.
        """
        packed = 0
        for sha256 in (await self._not_looked_at())[:most]:
            with suppress(MediaMissing):  # sent and removed meanwhile
                packed += await self._pack_one(sha256)
            self._as_they_are.add(sha256)  # not after a disk that was full: then another round tries again
        return packed

    async def _not_looked_at(self) -> list[str]:
        listed = await asyncio.to_thread(self._shelves.listed)
        self._as_they_are &= {name for name, _, _ in listed}
        by_size = sorted((size, name) for name, size, _ in listed)
        return [name for _, name in by_size if name not in self._as_they_are and name not in self._holds]

    async def _pack_one(self, sha256: str) -> bool:
        if not await asyncio.to_thread(self._shelves.worth_packing, sha256):
            return False
        temporary = await asyncio.to_thread(self._shelves.pack, sha256)
        if temporary is None:
            return False
        async with self._lock:  # nobody takes the same file in just now
            return await asyncio.to_thread(self._shelves.settle_packed, temporary, sha256)

    async def open(self, sha256: str) -> BinaryIO:
        """The file, open for reading; the caller closes it. Raises MediaMissing."""
        return await asyncio.to_thread(self._shelves.open, sha256)

    async def size(self, sha256: str) -> int:
        """Length in bytes. Raises MediaMissing."""
        return await asyncio.to_thread(self._shelves.size, sha256)

    async def read(self, sha256: str, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset` on; empty at the end. Raises MediaMissing."""
        return await asyncio.to_thread(self._shelves.read, sha256, offset, length)

    async def verify(self, sha256: str) -> bool:
        """Whether the bytes still have the hash that names them. Raises MediaMissing."""
        return await asyncio.to_thread(self._shelves.sound, sha256)

    async def _keep(self, temporary: Path, sha256: str) -> None:
        async with self._lock:
            self._holds[sha256] += 1
            try:
                await asyncio.to_thread(mediafiles.settle, temporary, mediafiles.place(self._root, sha256))
            except BaseException:
                self._holds[sha256] -= 1
                raise

    def _refuse_too_large(self, size: int, limit: int | None = None) -> None:
        limit = self._max_bytes if limit is None else limit
        if size > limit:
            raise MediaTooLarge(f"A media file of at least {size} bytes is above the limit of {limit}.")


async def _gathered(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces that are worth a trip to a thread."""
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        if len(waiting) >= _WRITE_BYTES:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)
