"""Signed HTTP requests to the cloud, and what went wrong when there is no answer."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec
from yarl import URL

from appliance.files import to_the_end
from appliance.identity.keys import DeviceKey, KeyUnavailable
from appliance.identity.nonces import Nonces
from appliance.network.meter import QualityMeter
from appliance.uplink.endpoints import Endpoints
from appliance.uplink.time import CloudTime
from appliance.uplink.tls import StationTls, station_tls
from protocol import errors
from protocol.errors import Problem
from protocol.signature import Request, sign

log = logging.getLogger(__name__)

TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)
HEALTH_TIMEOUT = aiohttp.ClientTimeout(total=10, sock_connect=5)
OPENING_S = 15.0
"""So long the opening of a WebSocket may take."""
MAX_ANSWER = 1 << 20
SHORTEST_RETRY_S, LONGEST_RETRY_S = 1.0, 86_400.0
"""A mistaken Retry-After must neither make a station hammer nor silence it for a year."""

_ENDPOINT_FAILS = {502, 503, 504}
"""Answers with which an address of the cloud says that it is not the one to ask now."""

T = TypeVar("T")


class Unreachable(Exception):
    """No answer from the cloud. `fault` is dns, connect, refused, tls, timeout, or key where the
    station cannot sign; the text is for people."""

    def __init__(self, fault: str, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault


class Refused(Exception):
    """The cloud answered with a problem. `retry_after` is in seconds."""

    def __init__(self, problem: Problem, retry_after: float | None) -> None:
        super().__init__(
            f"{problem.status} {problem.code or ''} {problem.detail or problem.title}".replace("  ", " ")
        )
        self.problem = problem
        self.status = problem.status
        self.code = problem.code
        self.reason = problem.reason
        self.retry_after = retry_after


class NoSocket(Exception):
    """Something answered the wish for a WebSocket with plain HTTP. `retry_after` is in seconds."""

    def __init__(self, status: int, retry_after: float | None) -> None:
        super().__init__(f"answered with HTTP {status} instead of a WebSocket")
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True)
class Reply:
    """An answer below 400. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def read(self, kind: type[T]) -> T:
        """The body as a message. Raises `Refused` (502) when the cloud's answer cannot be understood."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            problem = Problem(title="Answer not understood", status=502, detail=str(error))
            raise Refused(problem, None) from None


class CloudClient:
    """One client for the life of the process. Every request is signed by the device key.

    `url` is the cloud's first address; requests go to the one that `endpoints` has in use.
    """

    def __init__(
        self,
        url: str,
        key: DeviceKey,
        nonces: Nonces,
        time: CloudTime,
        connector: Callable[[], aiohttp.BaseConnector],
        tls: StationTls | None = None,
        backups: Sequence[str] = (),
    ) -> None:
        self.url = url.rstrip("/")
        self.endpoints = Endpoints([self.url, *backups], random.random)
        self.meter = QualityMeter(time.system.monotonic)
        self.key = key
        self.time = time
        self._nonces = nonces
        self._connector = connector
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._earlier: aiohttp.ClientSession | None = None
        self.before_request: Callable[[], Awaitable[None]] | None = None
        """What must be tried before a request is signed: the station may know no time yet."""
        self._when_refused: list[Callable[[str], None]] = []

    def when_refused(self, tell: Callable[[str], None]) -> None:
        """Calls `tell` with the reason of every refusal that has one."""
        self._when_refused.append(tell)

    async def close(self) -> None:
        """Closes all connections."""
        for session in (self._session, self._earlier):
            if session is not None:
                await session.close()
        self._session = self._earlier = None

    async def present(self, certificate_pem: str) -> None:
        """New connections present this certificate of the station's key; those under way go on."""
        if self._tls is None:
            return
        try:
            self._tls.present(certificate_pem, self.key.private.exported)
        except (ssl.SSLError, ValueError) as error:
            log.error("the station's certificate cannot be presented: %s", error)
            return
        before, self._earlier, self._session = self._earlier, self._session, None
        if before is not None:
            await before.close()

    async def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout = TIMEOUT,
        key: DeviceKey | None = None,
    ) -> Reply:
        """One signed request, repeated once when the cloud corrects our clock or our boot counter.

        `path` is absolute and may have a query; `key` signs in the place of the station's own. Raises
        `Unreachable` or `Refused`.
        """
        extra = {name.lower(): value for name, value in (headers or {}).items()}
        if body:
            extra["content-type"] = content_type
        boot = self._nonces.boot
        try:
            return await self._once(method, path, body, extra, timeout, key or self.key)
        except Refused as refusal:
            if not await self._learned(refusal.problem, boot):
                raise
            log.info("repeating %s %s after a correction: %s", method, path, refusal.reason)
            return await self._once(method, path, body, extra, timeout, key or self.key)

    async def _learned(self, problem: Problem, boot: int) -> bool:
        """Whether a repetition can go better than the request that was signed with the counter `boot`."""
        if problem.reason == errors.CLOCK_SKEW:
            return True
        if problem.reason == errors.REPLAYED_NONCE and problem.min_boot_ctr is not None:
            await to_the_end(self._nonces.raise_to, problem.min_boot_ctr)
            return self._nonces.boot > boot
        return False

    async def _once(
        self,
        method: str,
        path: str,
        body: bytes,
        extra: dict[str, str],
        timeout: aiohttp.ClientTimeout,
        key: DeviceKey,
    ) -> Reply:
        if self.before_request is not None:
            await self.before_request()
        base = self.endpoints.current
        url = URL(base + path, encoded=True)
        request = Request(method, url.authority, url.raw_path_qs, extra, body)
        headers = extra | await self._signed(request, key)
        sent = self.time.system.monotonic()
        try:
            async with self._open().request(
                method,
                url,
                data=body or None,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                ssl=self._tls or True,
            ) as response:
                answer = await _body(response)
                reply = Reply(response.status, {k.lower(): v for k, v in response.headers.items()}, answer)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            fault = unreachable(error)
            self.meter.unanswered(fault.fault)
            self.endpoints.failed(base, self.time.system.monotonic(), str(fault))
            raise fault from error
        self.meter.answered(self.time.system.monotonic() - sent, len(body))
        if reply.status in _ENDPOINT_FAILS:
            self.endpoints.failed(base, self.time.system.monotonic(), f"HTTP {reply.status}")
        else:
            self.endpoints.succeeded(base, self.time.system.monotonic())
        return self._judge(reply, sent)

    async def unhealthy(self, base: str) -> str | None:
        """Why the cloud at this address is not well, by its own `/health`; None when it is."""
        try:
            async with self._open().get(
                URL(base + "/health"), timeout=HEALTH_TIMEOUT, allow_redirects=False, ssl=self._tls or True
            ) as response:
                await _body(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return str(unreachable(error))
        return None if response.status == 200 else f"HTTP {response.status}"

    async def knock(self) -> tuple[float, bool]:
        """Asks the address in use for its health: seconds until the answer, and whether it is well.

        Nothing is signed or counted. Raises `Unreachable`, also when something else answers.
        """
        sent = self.time.system.monotonic()
        try:
            async with self._open().get(
                URL(self.endpoints.current + "/health"),
                timeout=HEALTH_TIMEOUT,
                allow_redirects=False,
                ssl=self._tls or True,
            ) as response:
                body = await _body(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unreachable(error) from error
        if response.status < 400 and not _peek(body, "server_time"):
            raise Unreachable("connect", "Something answers in the cloud's place (a web page).")
        return self.time.system.monotonic() - sent, response.status == 200

    async def socket(self, path: str, *, ping: float, largest: int) -> aiohttp.ClientWebSocketResponse:
        """A WebSocket, opened by a signed request; dead when a ping of every `ping` seconds is not answered.

        Its faults count neither for the connection's quality nor against an address of the cloud: a way that
        lets no WebSockets through may carry everything else. Raises `NoSocket` or `Unreachable`.
        """
        if self.before_request is not None:
            await self.before_request()
        url = URL(self.endpoints.current + path, encoded=True)
        request = Request("GET", url.authority, url.raw_path_qs, {}, b"")
        headers = await self._signed(request, self.key)
        try:
            async with asyncio.timeout(OPENING_S):
                return await self._open().ws_connect(
                    url, headers=headers, heartbeat=ping, max_msg_size=largest, ssl=self._tls or True
                )
        except aiohttp.WSServerHandshakeError as error:
            raise NoSocket(error.status, _retry_after(_lower(error.headers))) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unreachable(error) from error

    async def _signed(self, request: Request, key: DeviceKey) -> dict[str, str]:
        """The headers of the signature. A key outside of this program takes its time, in a thread."""
        work = partial(
            sign,
            request,
            key.private.sign,
            key.keyid,
            created=int(self.time.now()),
            nonce=self._nonces.next(),
        )
        try:
            return work() if key.storage == "file" else await asyncio.to_thread(work)
        except KeyUnavailable as error:
            raise Unreachable("key", str(error)) from None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=self._connector(),
                headers={"User-Agent": "meteor-appliance"},
                auto_decompress=True,
                trace_configs=[_no_redirects()],
            )
        return self._session

    def _judge(self, reply: Reply, sent: float) -> Reply:
        received = self.time.system.monotonic()
        server_time = _peek(reply.body, "server_time")
        if server_time:
            self.time.teach(server_time, sent, received)
        if 300 <= reply.status < 400:  # the cloud never redirects; a hotspot's login page does
            raise Unreachable(
                "connect", f"Something answers in the cloud's place (HTTP {reply.status} redirect)."
            )
        if reply.status < 400:
            if reply.headers.get("content-type", "").startswith("text/html"):
                raise Unreachable("connect", "Something answers in the cloud's place (a web page).")
            return reply
        refused = Refused(_problem(reply), _retry_after(reply.headers))
        for tell in self._when_refused:
            tell(refused.reason or "")
        raise refused


def _no_redirects() -> aiohttp.TraceConfig:
    """A WebSocket has no switch for it: what redirects is not the cloud, and must not get a token."""
    trace = aiohttp.TraceConfig()

    async def redirected(*_: object) -> None:
        raise aiohttp.ClientConnectionError("Something answers in the cloud's place (a redirect).")

    trace.on_request_redirect.append(redirected)
    return trace


def _lower(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name.lower(): value for name, value in (headers or {}).items()}


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """All of the answer. Raises `aiohttp.ClientPayloadError` for an endless one."""
    answer = bytearray()
    async for piece in response.content.iter_any():
        answer += piece
        if len(answer) > MAX_ANSWER:
            raise aiohttp.ClientPayloadError(f"the answer is longer than {MAX_ANSWER} bytes")
    return bytes(answer)


class _Peek(msgspec.Struct):
    server_time: str = ""


def _peek(body: bytes, field: str) -> str:
    try:
        return str(getattr(msgspec.json.decode(body, type=_Peek), field))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""


def _problem(reply: Reply) -> Problem:
    try:
        problem = msgspec.json.decode(reply.body, type=Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Problem(title=f"HTTP {reply.status}", status=reply.status)
    return msgspec.structs.replace(problem, status=reply.status)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("retry-after", "")
    if not (text.isascii() and text.isdigit()):
        return None
    return min(max(float(text), SHORTEST_RETRY_S), LONGEST_RETRY_S)


def unreachable(error: Exception) -> Unreachable:
    """Names the fault behind an exception of the HTTP client."""
    cause: BaseException | None = error
    while cause is not None:
        match cause:
            case TimeoutError():
                return Unreachable("timeout", "The cloud did not answer in time.")
            case ssl.SSLError() | aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
                return Unreachable("tls", f"The secure connection failed: {cause}")
            case socket.gaierror():
                return Unreachable("dns", "The cloud's name could not be found.")
            case ConnectionRefusedError():
                return Unreachable("refused", "Nobody answers at the address of the cloud.")
        cause = cause.__cause__ or getattr(cause, "os_error", None)
    return Unreachable("connect", f"The cloud cannot be reached: {error or type(error).__name__}")


def trust(ca_certificate: str | None, *urls: str, time: CloudTime | None = None) -> StationTls | None:
    """The TLS context for the cloud; None for plain http. With `time`, dates are judged by that.

    Raises `StartRefused` for a file that is no certificate.
    """
    if all(urlsplit(url).scheme != "https" for url in urls):
        return None
    return station_tls(ca_certificate, time)
