"""A file packed at rest: gzip (RFC 1952) in members of one MiB, so that it can be read from any offset.

Every member says in the extra field of its head how long it is (as BGZF does), so a reader hops from head to
head; the gzip of any system unpacks the whole. Whether packing is worth it is asked of the bytes, not of a
name.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MEMBER = 1 << 20
WORTH = 0.8
"""What a file may have left of its size at most, for packing to be worth it: a fifth is saved or more."""
LEAST_BYTES = 8192
"""Below this no whole block of the disk is saved."""
_SAMPLE = 64 * 1024
_LEVEL = 6
_HEAD = struct.Struct("<4sLBBHBBHL")
_TAIL = struct.Struct("<LL")
_MAGIC = b"\x1f\x8b\x08\x04"
_PACKED_ALREADY = (
    b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"\x1f\x8b", b"BZh", b"PK\x03\x04", b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd", b"fLaC", b"OggS", b"\x1aE\xdf\xa3",
)  # fmt: skip
"""How JPEG, PNG, GIF, gzip, bzip2, ZIP, xz, zstd, FLAC, Ogg and Matroska begin."""


class Damaged(Exception):
    """These bytes are not what was packed."""


def worth_packing(path: Path) -> bool:
    """Whether samples of this file shrink by a fifth. Raises OSError."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size < LEAST_BYTES:
            return False
        file.seek(0)
        sample = file.read(_SAMPLE)
        if sample.startswith(_PACKED_ALREADY) or sample[4:8] == b"ftyp" or sample[8:12] == b"WEBP":
            return False
        if size > 2 * _SAMPLE:
            file.seek(size // 2)
            sample += file.read(_SAMPLE)
    return len(zlib.compress(sample, _LEVEL)) <= WORTH * len(sample)


def pack(source: BinaryIO, target: BinaryIO) -> int:
    """Pack all of `source`; the bytes written. Raises OSError."""
    written = 0
    while piece := source.read(MEMBER):
        written += target.write(_member(piece))
    return written


def _member(piece: bytes) -> bytes:
    packer = zlib.compressobj(_LEVEL, wbits=-zlib.MAX_WBITS)
    body = packer.compress(piece) + packer.flush()
    size = _HEAD.size + len(body) + _TAIL.size
    head = _HEAD.pack(_MAGIC, 0, 0, 255, 8, ord("M"), ord("S"), 4, size)
    return head + body + _TAIL.pack(zlib.crc32(piece), len(piece))


def plain_size(path: Path) -> int:
    """Bytes before packing; reads only heads and tails. Raises Damaged, OSError."""
    with path.open("rb") as file:
        return sum(plain for _, _, plain in _members(file))


def read_at(path: Path, offset: int, length: int) -> bytes:
    """At most `length` of the plain bytes from `offset` on. Raises Damaged, OSError."""
    found, begins = bytearray(), 0
    with path.open("rb") as file:
        for start, size, plain in _members(file):
            if begins >= offset + length:
                break
            if begins + plain > offset:
                piece = _unpacked(file, start, size)
                found += piece[max(0, offset - begins) : offset + length - begins]
            begins += plain
    return bytes(found)


def pieces(path: Path) -> Iterator[bytes]:
    """All plain bytes, a member at a time. Raises Damaged, OSError."""
    with path.open("rb") as file:
        for start, size, _ in _members(file):
            yield _unpacked(file, start, size)


def _members(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Start, size and plain size of each member."""
    end, start = file.seek(0, 2), 0
    while start < end:
        file.seek(start)
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size or head[:4] != _MAGIC or head[12:14] != b"MS":
            raise Damaged
        size = _HEAD.unpack(head)[8]
        if size <= _HEAD.size + _TAIL.size or start + size > end:
            raise Damaged
        file.seek(start + size - _TAIL.size)
        plain = _TAIL.unpack(file.read(_TAIL.size))[1]
        if plain > MEMBER:
            raise Damaged
        yield start, size, plain
        start += size


def _unpacked(file: BinaryIO, start: int, size: int) -> bytes:
    file.seek(start + _HEAD.size)
    body = file.read(size - _HEAD.size - _TAIL.size)
    crc, plain = _TAIL.unpack(file.read(_TAIL.size))
    unpacker = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        piece = unpacker.decompress(body, MEMBER + 1)
    except zlib.error:
        raise Damaged from None
    if len(piece) != plain or zlib.crc32(piece) != crc or not unpacker.eof:
        raise Damaged
    return piece
