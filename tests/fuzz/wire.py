"""HTTP as bytes: requests that no client library would send, on a connection that lasts while it can."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from tests.cloud.station_client import Reply

PATIENCE_S = 60


class Wire:
    """One connection to a server on TCP or on a Unix socket; opened again whenever the server closed it."""

    def __init__(self, port: int = 0, path: str = "") -> None:
        self.port, self._path = port, path
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, target: str, headers: Iterable[tuple[str, bytes]], body: bytes) -> Reply:
        """The answer to one request, with `Content-Length` unless the headers frame the body themselves."""
        lines = [(name.lower(), value) for name, value in headers]
        if body and not {"content-length", "transfer-encoding"} & {name for name, _ in lines}:
            lines.append(("content-length", str(len(body)).encode()))
        head = f"{method} {target} HTTP/1.1\r\n".encode("utf-8", "surrogateescape")
        head += b"".join(name.encode() + b": " + value + b"\r\n" for name, value in lines)
        return await self.say(head + b"\r\n" + body, bodiless=method == "HEAD")

    async def say(self, data: bytes, *, bodiless: bool = False) -> Reply:
        """The answer to these very bytes. Raises AssertionError when none came."""
        for attempt in (1, 2):
            reader, writer = await self._opened()
            try:
                writer.write(data)
                reply = await asyncio.wait_for(_answer(reader, bodiless), PATIENCE_S)
            except (ConnectionError, asyncio.IncompleteReadError):
                await self.close()  # a server may close what it kept open, at any time
                if attempt == 2:
                    raise AssertionError(f"no answer to {data[:300]!r}") from None
                continue
            if (
                bodiless or reply.headers.get("connection") == "close"
            ):  # an error may bring a body all the same
                await self.close()
            return reply
        raise AssertionError

    async def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            if self._path:
                self._streams = await asyncio.open_unix_connection(self._path)
            else:
                self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        return self._streams

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _answer(reader: asyncio.StreamReader, bodiless: bool) -> Reply:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ")[1])
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:]) if name}
    if status == 100:
        return await _answer(reader, bodiless)
    if bodiless or status in (204, 304):
        return Reply(status, headers, b"")
    return Reply(status, headers, await _body(reader, headers))


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    if headers.get("transfer-encoding") != "chunked":
        return await reader.read()
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return body
