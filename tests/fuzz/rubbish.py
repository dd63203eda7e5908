"""Rubbish for parsers, from a seed: a good message altered in one place, or broken as bytes."""

from __future__ import annotations

import copy
import gzip
import json
import os
import random
from collections.abc import Callable, Iterator
from typing import Any

SEED = int(os.environ.get("FUZZ_SEED", "1"))
MESSAGES = int(os.environ.get("FUZZ_MESSAGES", "150"))
"""Altered messages for each parser; `make test-fuzz` wants a thousand."""
FRAMES = int(os.environ.get("FUZZ_FRAMES", "300"))
"""Altered frames for each end of the WebSocket."""


class Raw(bytes):
    """Stands in a message as it is, whether it is JSON or not."""


def nested(depth: int, kind: bytes = b"[") -> Raw:
    """Lists in lists, or objects in objects."""
    if kind == b"[":
        return Raw(b"[" * depth + b"]" * depth)
    return Raw(b'{"a":' * depth + b"1" + b"}" * depth)


VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    *(0, -1, 7, 1.5, -0.0, 1e308, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**40, 10**400),
    *(Raw(word) for word in (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-", b"01", b"0x1", b"1.", b".5")),
    *("", " ", "x", "-1", "0", "true", "null", "../../etc/passwd", "<script>alert(1)</script>"),
    "'; DROP TABLE device; --",
    *("x" * 90, "x" * 300, "x" * 20_000, "🦄" * 60, "\u202e\u200b", "\x7f\x9f", "a\nb\rc\td", "İıßſ"),
    *(Raw(word) for word in (rb'"\u0000"', rb'"a\u0000b"', rb'"\ud800"', rb'"\udfff\ud800"')),
    Raw(rb'"\ud83e\udd84"'),
    *(Raw(word) for word in (b'"\xff\xfe"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'"a\x00b"', b'"\x01"')),
    Raw(b'"\\x41"'),
    *("0000-00-00T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999-12:00"),
    "2026-02-30T00:00:00Z",
    *("2026-01-01", "20260101T000000Z", "2026-W01-1T00:00:00Z", "2026-01-01T00:00:00" + "0" * 300 + "Z"),
    *([], {}, [None], [[]], {"": None}, {"a": {"b": []}}, ["x"] * 600),
    *(list(range(200)), {str(i): i for i in range(200)}),
    *(nested(40), nested(400), nested(5_000), nested(40, b"{"), nested(400, b"{"), nested(5_000, b"{")),
)  # fmt: skip


def dump(value: Any) -> bytes:
    """JSON with raw parts and with pairs that may repeat a key: an object is a dict or a tuple of pairs."""
    match value:
        case Raw():
            return bytes(value)
        case dict():
            return dump(tuple(value.items()))
        case tuple():
            pairs = (json.dumps(name).encode() + b":" + dump(each) for name, each in value)
            return b"{" + b",".join(pairs) + b"}"
        case list():
            return b"[" + b",".join(map(dump, value)) + b"]"
        case _:
            return json.dumps(value).encode()


def altered(good: bytes, dice: random.Random) -> bytes:
    """A message that differs in one to three places, or whose bytes are broken."""
    if not good or dice.random() < 0.15:
        return _broken(good, dice)
    message = json.loads(good)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        message = _changed(message, dice)
    made = dump(message)
    return _broken(made, dice) if dice.random() < 0.05 else made


def _changed(message: Any, dice: random.Random) -> Any:
    """The message with one value, key or member changed."""
    places = list(_places(message))
    if not places or dice.random() < 0.02:
        return dice.choice(VALUES)
    holder, key = dice.choice(places)
    match dice.randrange(10):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[dice.choice(("extra", "", "__proto__", "x" * 5_000, "a\u0000b", "🦄", f"{key} "))] = (
                holder[key]
            )
        case 2 if isinstance(holder, dict):
            holder[key] = Raw(dump(holder[key]) + b"," + json.dumps(key).encode() + b":" + dump(_any(dice)))
        case 3:
            holder[key] = [holder[key]] * dice.choice((1, 2, 700))
        case 4:
            holder[key] = {"value": holder[key]}
        case 5 if isinstance(holder[key], str):
            holder[key] = _text(holder[key], dice)
        case _:
            holder[key] = _any(dice)
    return message


def _any(dice: random.Random) -> Any:
    value = dice.choice(VALUES)
    return copy.deepcopy(value)


def _text(text: str, dice: random.Random) -> str:
    where = dice.randrange(len(text) + 1)
    return dice.choice(
        (
            text[:where],
            text[where:],
            text * 2,
            text.upper(),
            text + "\n",
            text[:where] + "é" + text[where:],
            text[::-1],
        )
    )


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a message that can be changed, as what holds it and under which key."""
    pairs: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, each in pairs:
        yield value, key
        yield from _places(each)


_BREAKERS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    lambda good, dice: good[: dice.randrange(len(good) + 1)],
    lambda good, dice: good[dice.randrange(len(good) + 1) :],
    lambda good, dice: good + dice.choice((b"}", b"\0", b"{}", b" x", b",", b"\xff", good)),
    lambda good, dice: dice.choice((b"\xef\xbb\xbf", b"\xff\xfe", b")]}'\n", b" " * 3_000, b"\0")) + good,
    lambda good, dice: good.decode("utf-8", "replace").encode(dice.choice(("utf-16", "utf-32", "cp037"))),
    lambda good, dice: bytes(byte ^ (1 << dice.randrange(8) if dice.random() < 0.02 else 0) for byte in good),
    lambda good, dice: dice.randbytes(dice.choice((1, 16, 1000))),
    lambda good, dice: bytes(nested(dice.choice((200, 100_000)), dice.choice((b"[", b"{")))),
    lambda good, dice: b"[" + good + b"]",
    lambda good, dice: good.replace(b'"', b"'").replace(b":", b"="),
    lambda good, dice: gzip.compress(good),
    lambda good, dice: dice.choice((b"null", b"true", b"0", b'""', b"[]", b"{}", b" ", b"<xml/>", b"a=1&b")),
)  # fmt: skip


def _broken(good: bytes, dice: random.Random) -> bytes:
    return dice.choice(_BREAKERS)(good, dice)


HEADER_VALUES: tuple[bytes, ...] = (
    *(b"", b" ", b"\xff\xfe", b"\xc3\xa9", b"\xf0\x9f\xa6\x84", b"x" * 3_000, b"-1", b"0", b"1e3"),
    b"99999999999",
    *(b"9" * 30, b"1.0.0", b"0.9", b"\x7f", b"\t", b"*", b'"', b"()", b"=", b"a b, c d"),
    *(b"sha256 \xff", b"sha256 e30=, x"),
    *(b"sha256", b"sha256 !!!!", b"md5 AAAA", b"sha1 ", b"text/plain", b"application/json; charset=utf-16"),
    *(b"application/json; charset=\xff", b"multipart/form-data", b"/", b";;;"),
    b"application/x-www-form-urlencoded",
    *(b"gzip", b"gzip, gzip", b"deflate", b"br", b"identity", b"GZIP "),
    *(b"Bearer ", b"Bearer \xff", b"Bearer a.b.c"),
)  # fmt: skip
"""What stands in one header in the place of what belongs there."""
