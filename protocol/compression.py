"""Bodies in gzip (RFC 1952): packing them, and unpacking them without trusting what they grow to. Pure.

The `Content-Digest` of a request is that of its bytes as sent, so it covers the packed body (RFC 9530 §2).
"""

from __future__ import annotations

import gzip
import zlib

CODING = "gzip"
WORTH_PACKING = 1024
"""Bytes. Below this the head of the format eats what it saves."""

_LEVEL = 6


class TooLarge(Exception):
    """More than the limit comes out; how much more is not known, because it was not unpacked."""


class Damaged(Exception):
    """These bytes are not one whole gzip member."""


def pack(body: bytes) -> bytes:
    """The body in gzip; the same bytes for the same body."""
    return gzip.compress(body, _LEVEL, mtime=0)


def unpack(packed: bytes, limit: int) -> bytes:
    """The body. Raises `TooLarge` as soon as more than `limit` bytes come out, `Damaged`."""
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        body = unpacker.decompress(packed, limit + 1)
    except zlib.error as error:
        raise Damaged(str(error)) from None
    if len(body) > limit:
        raise TooLarge
    if not unpacker.eof or unpacker.unused_data:
        raise Damaged("the body ends too early, or too late")
    return body
