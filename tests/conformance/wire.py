"""One HTTP exchange as bytes on a real socket, so that a request can be as odd as a phone makes it."""

from __future__ import annotations

import asyncio
import http.client
import io
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

PATIENCE_S = 60.0
TEST_NET = "192.0.2.1"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. Header names are small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bytes
    """Every byte until the server closed."""


class _Received(io.BytesIO):
    def makefile(self, *_: object) -> io.BytesIO:
        return self


def read(received: bytes, method: str = "GET") -> Reply:
    """The bytes as a reply. Raises `http.client.HTTPException` for what is none."""
    answer = http.client.HTTPResponse(_Received(received), method=method)  # type: ignore[arg-type]
    answer.begin()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return Reply(answer.status, headers, answer.read(), received)


def request(target: str, *headers: str, method: str = "GET", version: str = "HTTP/1.1") -> bytes:
    """A request without a body."""
    return "\r\n".join([f"{method} {target} {version}", *headers, "", ""]).encode()


async def exchange(port: int, sent: bytes, source: str = "127.0.0.1") -> bytes:
    """What a server on loopback says to `sent`, until it closes. Raises OSError if nobody listens."""
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
        try:
            writer.write(sent)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()


@dataclass(frozen=True, slots=True)
class Air:
    """The hotspot as one phone finds it: every name is one address, at which only port 80 answers.

    `portal` and `closed` are ports on loopback: the portal's, and one at which nobody listens. `address` is
    what names resolve to, `phone` the phone's own address, so that each is a client of its own.
    """

    portal: int
    closed: int
    address: str = TEST_NET
    phone: str = "127.0.0.1"

    async def get(self, url: str, agent: str = "probe", method: str = "GET") -> Reply | None:
        """The reply, no redirect followed; None when the connection is refused."""
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = (f"Host: {parts.netloc}", f"User-Agent: {agent}", "Accept: */*", "Connection: close")
        port = self.portal if parts.scheme == "http" else self.closed
        try:
            received = await exchange(port, request(target, *headers, method=method), self.phone)
        except ConnectionRefusedError:
            return None
        return read(received, method)
