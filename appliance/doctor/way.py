"""Goes the way to the cloud one step at a time: name, connection, handshake, answer. Judges nothing.

The verdict on the internet stays that of `appliance/network/internet.py`, whose own probe is asked when a
step fails; here is measured what a person wants to see behind it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from urllib.parse import SplitResult, urlsplit

import msgspec

from appliance.doctor.certificates import Seen, fetch
from appliance.doctor.names import Asked, Server, ask
from appliance.network import probe
from appliance.network.internet import Met, internet_code, met_by
from appliance.network.probe import Probe
from protocol.clock import parse

STEP_S = 4.0
LOOK_S = 2.0
"""For each step of the probe that is asked after a failure: the page waits."""


class Fault(Enum):
    """What was wrong with a certificate."""

    LIFE = "life"
    NAME = "name"
    TRUST = "trust"


_FAULTS = {9: Fault.LIFE, 10: Fault.LIFE, 62: Fault.NAME, 64: Fault.NAME}
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID, CERT_HAS_EXPIRED, HOSTNAME_MISMATCH, IP_ADDRESS_MISMATCH."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """How TLS went: version and end of the certificate's life, or why it failed and what was `shown`."""

    version: str = ""
    ends: datetime | None = None
    failure: str = ""
    fault: Fault = Fault.TRUST
    shown: Seen | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """How far it goes. Each step is None when the one before failed; durations in seconds.

    `code` is the verdict on the internet, None when the cloud was reached. `ahead` is how far this clock runs
    ahead of the cloud's, in seconds.
    """

    host: str
    place: str
    secure: bool
    addresses: tuple[str, ...] = ()
    asked: tuple[Asked, ...] = ()
    failure: str = ""  # of the connection
    silent: bool = False  # the connection, the handshake or the answer did not come in time
    connected: float | None = None
    handshake: Handshake | None = None
    status: int | None = None
    met: Met | None = None
    answered: float | None = None
    ahead: float | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traveller:
    """What the way is gone with. `wall` is UTC in seconds; `step` the seconds for one step."""

    url: str
    check_url: str | None = None
    tls: Callable[[], ssl.SSLContext | None] = lambda: None
    servers: Callable[[], Sequence[Server]] = tuple
    wall: Callable[[], float] = time.time
    step: float = STEP_S

    async def go(self) -> Way:
        """All steps. Takes about five times `step` at most and raises nothing."""
        url = urlsplit(self.url.rstrip("/") + "/health")
        way = Way(url.hostname or "", url.netloc, url.scheme == "https")
        found = await self._resolve(url)
        if found:
            shown = tuple(dict.fromkeys(address[1][0] for address in found))
            way = await self._knock(replace(way, addresses=shown), url, found)
        else:
            asked = await asyncio.gather(*(ask(each, way.host) for each in self.servers()))
            way = replace(way, asked=tuple(asked))
        return way if way.met is Met.OURS else replace(way, code=await self._verdict(way))

    async def _resolve(self, url: SplitResult) -> list[probe.Address]:
        port = url.port or (443 if url.scheme == "https" else 80)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.step):
                found = await loop.getaddrinfo(url.hostname, port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError, UnicodeError):
            return []
        return [(family, address) for family, _, _, _, address in found[: probe.MAX_ADDRESSES]]

    async def _knock(self, way: Way, url: SplitResult, found: list[probe.Address]) -> Way:
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.step):
                connection = await probe.connect(found, None)
        except TimeoutError:
            return replace(way, silent=True)
        except OSError as error:
            return replace(way, failure=reason_of(error))
        way = replace(way, connected=time.monotonic() - began)
        try:
            async with asyncio.timeout(self.step):
                return await self._talk(way, url, connection)
        except TimeoutError:
            return replace(way, silent=True)
        except ssl.SSLError as error:
            return replace(way, handshake=await self._refused(url, error))
        except (OSError, EOFError) as error:
            return replace(way, failure=reason_of(error))
        except ValueError:
            return replace(way, met=Met.FOREIGN, failure="no HTTP")

    async def _talk(self, way: Way, url: SplitResult, connection: socket.socket) -> Way:
        try:
            context = await asyncio.to_thread(self._context) if way.secure else None
            reader, writer = await asyncio.open_connection(
                sock=connection, ssl=context, server_hostname=way.host if way.secure else None
            )
        except BaseException:
            connection.close()
            raise
        try:
            if way.secure:
                way = replace(way, handshake=_made(writer))
            began = time.monotonic()
            writer.write(probe.request(url))
            answer = await probe.read(reader)
            took = time.monotonic() - began
        finally:
            writer.transport.abort()  # a farewell would wait for whoever is silent
        met = met_by(answer.status, answer.location, answer.body, way.host, trusted=way.secure)
        ahead = _ahead(answer.body, self.wall() - took / 2)
        return replace(way, status=answer.status, met=met, answered=took, ahead=ahead)

    def _context(self) -> ssl.SSLContext:
        return self.tls() or ssl.create_default_context()

    async def _refused(self, url: SplitResult, error: ssl.SSLError) -> Handshake:
        """Looks at the certificate without trusting it, because the refusal hardly tells anything of it."""
        if not isinstance(error, ssl.SSLCertVerificationError):
            return Handshake(failure=error.reason or str(error))
        shown = await fetch(url.hostname or "", url.port or 443, self.step)
        fault = _FAULTS.get(error.verify_code, Fault.TRUST)
        return Handshake(failure=error.verify_message, fault=fault, shown=shown)

    async def _verdict(self, way: Way) -> str | None:
        if is_loopback(way.host):
            return None  # no internet is needed, and none has to be blamed
        asking = Probe(self.url, self.check_url, self.tls, min(LOOK_S, self.step))
        return internet_code(await asking.look(None))


def reason_of(error: Exception) -> str:
    """In the operating system's words, as far as it has some."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error) or type(error).__name__


def is_loopback(host: str) -> bool:
    """Whether this name or address is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _made(writer: asyncio.StreamWriter) -> Handshake:
    made, shown = writer.get_extra_info("ssl_object"), writer.get_extra_info("peercert") or {}
    ends = shown.get("notAfter")
    seconds = None if ends is None else ssl.cert_time_to_seconds(ends)
    when = None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return Handshake(version=made.version() or "", ends=when)


class _Health(msgspec.Struct):
    server_time: str


def _ahead(body: bytes, wall: float) -> float | None:
    try:
        return wall - parse(msgspec.json.decode(body, type=_Health).server_time).timestamp()
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, OverflowError):
        return None
