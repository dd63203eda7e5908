"""The time before anything else: `GET /time` over plain HTTP, believed with a pinned key's signature alone.

Where the cloud's root is pinned, the answer brings the keys with it, and the way from the root to them. So a
station with nothing but the pin of its claim code, or one whose pinned keys are long forgotten, comes back.

It is asked at most twice a minute, and only while nobody else vouches for the time.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Collection, Mapping
from urllib.parse import urlsplit

import aiohttp
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from appliance.files import to_the_end
from appliance.uplink.time import CloudTime
from protocol.codes import base64url
from protocol.messages import ConfigKey
from protocol.timestamp import SignedTime, TimeRefused, check_time, public_keys
from protocol.vouched import NotVouched, open_vouched

log = logging.getLogger(__name__)

AGAIN_S = 30.0
TIMEOUT = aiohttp.ClientTimeout(total=5)
MAX_ANSWER = 32_768

Pins = Callable[[], Mapping[str, Ed25519PublicKey]]
Roots = Callable[[], Collection[str]]
"""SHA-256 in hex of the roots' keys, one of which must vouch."""


def time_address(cloud_url: str, wished: str = "") -> str:
    """Where the time is asked: `wished`, or without TLS at the cloud's own name."""
    if wished:
        return wished
    parts = urlsplit(cloud_url)
    if parts.scheme == "http":
        return f"{cloud_url.rstrip('/')}/time"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"http://{host}/time"


def pinned_in_settings(keys: tuple[str, ...]) -> list[ConfigKey]:
    """Keys as the settings give them: 32 bytes in base64url, named by their beginning."""
    return [ConfigKey(kid=key[:16], x=key) for key in keys]


class FirstTime:
    """Asks when it is needed. `keep` writes a time down that is known to be past."""

    def __init__(
        self,
        time: CloudTime,
        address: str,
        pins: Pins,
        connector: Callable[[], aiohttp.BaseConnector],
        keep: Callable[[float], None],
        roots: Roots = tuple,
    ) -> None:
        self._time, self._address, self._pins, self._connector = time, address, pins, connector
        self._keep, self._roots = keep, roots
        self._one = asyncio.Lock()
        self._asked = float("-inf")

    async def ensure(self) -> None:
        """Asks, if that can help. Raises nothing for an answer or the lack of one: requests go on."""
        async with self._one:
            now = self._time.system.monotonic()
            if self._time.trusted or now - self._asked < AGAIN_S:
                return
            if not self._pins() and not self._roots():
                return
            self._asked = now
            try:
                await self.ask()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                log.info("the time cannot be asked at %s: %s", self._address, error or type(error).__name__)
            except (TimeRefused, NotVouched, msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.warning("the time from %s is refused: %s", self._address, error)

    async def ask(self) -> float:
        """Asks once and takes the answer; seconds since 1970. Raises `TimeRefused`, `NotVouched`, and as a
        client does."""
        nonce, pins, roots = base64url(os.urandom(16)), self._pins(), self._roots()
        question = {"nonce": nonce} | ({"proof": "1"} if roots else {})
        sent = self._time.system.monotonic()
        async with (
            aiohttp.ClientSession(connector=self._connector(), timeout=TIMEOUT) as session,
            session.get(self._address, params=question, allow_redirects=False) as response,
        ):
            body = await _read(response)
        received = self._time.system.monotonic()
        answer = msgspec.json.decode(body, type=SignedTime)
        try:
            at = check_time(answer, nonce, pins)
        except TimeRefused:
            if not roots or answer.keys is None:
                raise
            vouched = open_vouched(answer.keys, roots)
            at = check_time(answer, nonce, public_keys(vouched.time_keys))
        self._time.teach_signed(at, sent, received)
        await to_the_end(self._keep, at)
        log.info("the cloud's signed time is taken")
        return at


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The answer, as much of it as an honest one can have."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_ANSWER:
            break
    return bytes(body[:MAX_ANSWER])
