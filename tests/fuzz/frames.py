"""WebSocket frames as bytes (RFC 6455 §5.2), good and bad, and a client that sends any of them."""

from __future__ import annotations

import asyncio
import base64
import random
import struct
from collections.abc import Iterable, Mapping

from tests.fuzz.rubbish import altered

CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
PATIENCE_S = 60
SMALL, MEDIUM = 126, 65_536


def frame(
    kind: int, payload: bytes, *, last: bool = True, reserved: int = 0, masked: bool = True, size: int = -1
) -> bytes:
    """One frame of a client; `size` is what its head says, when that shall not be true."""
    said = len(payload) if size < 0 else size
    bit = 0x80 if masked else 0
    head = bytes([(0x80 if last else 0) | reserved << 4 | kind])
    if said < SMALL:
        head += bytes([bit | said])
    elif said < MEDIUM:
        head += bytes([bit | 126]) + struct.pack("!H", said)
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", said)
    key = b"\x12\x34\x56\x78" if masked else b""
    if masked:
        stretched = (key * (len(payload) // 4 + 1))[: len(payload)]
        number = int.from_bytes(payload, "big") ^ int.from_bytes(stretched, "big")
        payload = number.to_bytes(len(payload), "big")
    return head + key + payload


def bad(good: bytes, dice: random.Random) -> bytes:
    """What to send in the place of a text frame with `good` in it."""
    text = altered(good, dice)[:70_000]
    cut = dice.randrange(len(text) + 1)
    match dice.randrange(16):
        case 0:
            return frame(BINARY, text)
        case 1:
            return frame(TEXT, text[:cut], last=False) + frame(CONTINUED, text[cut:])
        case 2:
            parts = b"".join(frame(CONTINUED, bytes([byte]), last=False) for byte in text[:50])
            return frame(TEXT, b"", last=False) + parts + frame(CONTINUED, b"")
        case 3:
            return frame(TEXT, b'{"event":"' + b"x" * 70_000 + b'"}')
        case 4:
            return b"".join(frame(TEXT if n == 0 else CONTINUED, b"x" * 9_000, last=False) for n in range(9))
        case 5:
            return frame(TEXT, b"x" * 10, size=2**62)
        case 6:
            return frame(CONTINUED, text)
        case 7:
            return frame(TEXT, text[:cut], last=False) + frame(TEXT, text[cut:])
        case 8:
            return frame(dice.choice((3, 5, 7, 11, 15)), text[:100])
        case 9:
            return frame(TEXT, text, reserved=dice.randrange(1, 8))
        case 10:
            return frame(TEXT, text, masked=False)
        case 11:
            return frame(dice.choice((PING, PONG)), b"x" * dice.choice((0, 125, 126, 70_000)))
        case 12:
            return frame(
                CLOSE, dice.choice((b"", b"\x03", b"\x03\xe8", b"\x00\x01", b"\x03\xed\xff\xff", b"\xff\xff"))
            )
        case 13:
            return frame(TEXT, dice.choice((b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\xaf", b"")))
        case 14:
            return dice.randbytes(200)
        case _:
            return frame(TEXT, text)


class Line:
    """A WebSocket by hand. `close_code` is what the server said at its end, 1006 when it said nothing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.close_code = 0

    @classmethod
    async def open(cls, port: int, headers: Mapping[str, str]) -> Line:
        """After the handshake. Raises AssertionError when the server does not take it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        given = {
            "Host": f"127.0.0.1:{port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(b"0123456789abcdef").decode(),
            "Sec-WebSocket-Version": "13",
            **headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        writer.write(f"GET /device-realtime HTTP/1.1\r\n{lines}\r\n".encode())
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
        assert b" 101 " in answer.split(b"\r\n")[0], answer
        return cls(reader, writer)

    async def receive(self) -> tuple[int, bytes]:
        """The next frame of the server, as kind and payload; (CLOSE, b"") after the end."""
        try:
            head = await asyncio.wait_for(self.reader.readexactly(2), PATIENCE_S)
            size = head[1] & 127
            if size >= SMALL:
                size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
            payload = await asyncio.wait_for(self.reader.readexactly(size), PATIENCE_S)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.close_code = self.close_code or 1006
            return CLOSE, b""
        if head[0] & 15 == CLOSE:
            self.close_code = int.from_bytes(payload[:2], "big") if payload else 1005
        return head[0] & 15, payload

    async def ends(self, sent: Iterable[bytes], marker: bytes) -> bool:
        """Sends frames and a ping; whether the server closes the line before it answers the ping."""
        try:
            for each in (*sent, frame(PING, marker)):
                self.writer.write(each)
        except ConnectionError:
            pass
        while True:
            kind, payload = await self.receive()
            if kind == CLOSE:
                return True
            if kind == PONG and payload == marker:
                return False

    def drop(self) -> None:
        self.writer.transport.abort()
