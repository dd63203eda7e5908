"""Asks the station's own cloud for its health through one interface; judges nothing.

Requests are made by hand, because they must leave through a given interface and every way to fail counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from appliance.network.internet import InternetEvidence, Met, met_by

log = logging.getLogger(__name__)

STEP_S = 8.0
MAX_ANSWER = 64 * 1024
MAX_ADDRESSES = 4
_CLOCK_FAULTS = {9, 10}
"""OpenSSL: X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED."""

Address = tuple[int, Any]
"""Address family and socket address."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, the header Location and the first bytes of the body."""

    status: int
    location: str
    body: bytes


class Probe:
    """Remembers the address that the cloud had, to tell a dead DNS from a dead internet."""

    def __init__(
        self,
        cloud_url: str,
        check_url: str | None = None,
        tls: Callable[[], ssl.SSLContext | None] = lambda: None,
        step_seconds: float = STEP_S,
    ) -> None:
        """`check_url` is a plain-http address that answers as the cloud's /health does; without one the
        cloud's own host is asked on port 80. `tls` gives the context for a cloud with its own authority."""
        self._cloud = urlsplit(cloud_url.rstrip("/") + "/health")
        self._plain = urlsplit(check_url) if check_url else _plain(self._cloud)
        self._make_tls = tls
        self._context: ssl.SSLContext | None = None
        self._step_s = step_seconds
        self._known: list[Address] = []

    async def look(self, interface: str | None) -> InternetEvidence:
        """Both requests. Takes a few times `step_seconds` at most, and raises nothing."""
        cloud = await self._ask(self._cloud, interface)
        if cloud is Met.OURS or self._cloud == self._plain:
            return InternetEvidence(cloud, cloud)
        known = await self._known_address(interface) if cloud is Met.NO_NAME else None
        return InternetEvidence(await self._ask(self._plain, interface), cloud, known)

    async def _ask(self, url: SplitResult, interface: str | None) -> Met:
        try:
            async with asyncio.timeout(self._step_s):
                addresses = await _resolve(url)
        except (OSError, TimeoutError, UnicodeError):
            return Met.NO_NAME
        try:
            async with asyncio.timeout(self._step_s):
                answer = await self._exchange(url, addresses, interface)
        except ssl.SSLCertVerificationError as error:
            return Met.WRONG_CLOCK if error.verify_code in _CLOCK_FAULTS else Met.NO_TRUST
        except ssl.SSLError:
            return Met.NO_TRUST
        except ConnectionRefusedError:
            return Met.REFUSED
        except (TimeoutError, EOFError, ConnectionError):
            return Met.SILENT
        except OSError as error:
            log.debug("%s: %s", url.hostname, error.strerror)
            return Met.UNREACHABLE
        except ValueError:
            return Met.FOREIGN
        met = met_by(
            answer.status, answer.location, answer.body, url.hostname or "", trusted=url.scheme == "https"
        )
        if url is self._cloud and met in (Met.OURS, Met.ERROR):
            self._known = addresses
        return met

    async def _exchange(self, url: SplitResult, addresses: list[Address], interface: str | None) -> Answer:
        connection = await connect(addresses, interface)
        try:
            secure = await self._tls() if url.scheme == "https" else None
            reader, writer = await asyncio.open_connection(
                sock=connection, ssl=secure, server_hostname=url.hostname if secure else None
            )
        except BaseException:
            connection.close()
            raise
        try:
            writer.write(request(url))
            return await read(reader)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = await asyncio.to_thread(lambda: self._make_tls() or ssl.create_default_context())
        return self._context

    async def _known_address(self, interface: str | None) -> bool | None:
        if not self._known:
            return None
        try:
            async with asyncio.timeout(self._step_s):
                (await connect(self._known, interface)).close()
        except ConnectionRefusedError:
            return True
        except (OSError, TimeoutError):
            return False
        return True


def _plain(cloud: SplitResult) -> SplitResult:
    """The same question without TLS, on the port where login pages wait for it."""
    if cloud.scheme == "http":
        return cloud
    host = f"[{cloud.hostname}]" if ":" in (cloud.hostname or "") else cloud.hostname
    return cloud._replace(scheme="http", netloc=host or "")


async def _resolve(url: SplitResult) -> list[Address]:
    port = url.port or (443 if url.scheme == "https" else 80)
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(url.hostname, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found[:MAX_ADDRESSES]]


async def connect(addresses: list[Address], interface: str | None) -> socket.socket:
    """The first address that takes the connection; raises the error of the last one."""
    failure = OSError("no address")
    for family, address in addresses:
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setblocking(False)
        try:
            _bind(made, interface)
            await asyncio.get_running_loop().sock_connect(made, address)
        except OSError as error:
            made.close()
            failure = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise failure


def _bind(made: socket.socket, interface: str | None) -> None:
    """Makes the connection leave through one interface, also when another has the default route."""
    if interface is None:
        return
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
    except PermissionError:  # before Linux 5.7 only root may
        log.debug("not bound to %s", interface)


def request(url: SplitResult) -> bytes:
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {url.netloc}",
        "Accept: application/json",
        "Connection: close",
        "",
        "",
    )
    return "\r\n".join(lines).encode()


async def read(reader: asyncio.StreamReader) -> Answer:
    """Raises `ValueError` for what is no HTTP, `EOFError` when nothing came."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.LimitOverrunError:
        raise ValueError("no end of the headers") from None
    version, _, rest = head[0].partition(" ")
    if not version.startswith("HTTP/"):
        raise ValueError("no HTTP")
    headers = {name.strip().lower(): value.strip() for name, _, value in (h.partition(":") for h in head[1:])}
    chunked = headers.get("transfer-encoding", "").lower() == "chunked"
    body = await (
        _chunks(reader) if chunked else _to_the_end(reader, int(headers.get("content-length", MAX_ANSWER)))
    )
    return Answer(int(rest[:3]), headers.get("location", ""), body)


async def _to_the_end(reader: asyncio.StreamReader, length: int) -> bytes:
    body = b""
    while len(body) < min(length, MAX_ANSWER) and (more := await reader.read(MAX_ANSWER)):
        body += more
    return body


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    """RFC 9112 §7.1."""
    body = b""
    while len(body) < MAX_ANSWER:
        size = int((await reader.readline()).split(b";")[0], 16)
        if size == 0:
            break
        body += await reader.readexactly(min(size, MAX_ANSWER))
        await reader.readline()
    return body
