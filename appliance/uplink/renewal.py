"""The station's certificate is renewed in time: when, how often to try, what to tell. Its files are in
`appliance.identity.renewal`.

A wrong clock may delay a renewal and never starts one: the date counts only when somebody vouches for it.
A cloud that says that the certificate has ended is believed at once, because a renewal does no harm.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Awaitable, Callable

import msgspec

from appliance.files import to_the_end
from appliance.identity.credentials import Credentials, CredentialsFile, renewed
from appliance.identity.keys import DeviceKey, KeyUnavailable
from appliance.identity.renewal import NextPair
from appliance.uplink.client import CloudClient, Refused, Unreachable
from protocol.certificate_messages import (
    ALERT_S,
    KEY_REVOKED,
    KEY_SUPERSEDED,
    RENEW_AT_ONCE,
    RENEWAL_TOO_LATE,
    RenewAnswer,
    RenewRequest,
)
from protocol.clock import parse
from protocol.errors import UNKNOWN_KEY
from protocol.signature import thumbprint

log = logging.getLogger(__name__)

LOOK_S = 3600.0
RETRY_S = 300.0
JITTER = 0.05
"""Of the certificate's life: stations that were claimed together do not come back together."""

_USELESS = {409, 422}
"""Refusals of the next key itself; another one is made."""


def renew_at(credentials: Credentials) -> float:
    """When to renew, in seconds since 1970: at two thirds of the life, ±5 % of it, the same at every look."""
    after, end = (
        parse(credentials.renew_after).timestamp(),
        parse(credentials.certificate_not_after).timestamp(),
    )
    drawn = int.from_bytes(hashlib.sha256(credentials.certificate.encode()).digest()[:4], "big") / 2**32
    return after + (2 * drawn - 1) * JITTER * 3 * (end - after)


class Renewal:
    """One loop, which looks hourly and whenever the cloud refuses the certificate."""

    def __init__(
        self,
        client: CloudClient,
        credentials: CredentialsFile,
        pair: NextPair,
        wait_online: Callable[[], Awaitable[object]],
    ) -> None:
        self._client, self._credentials, self._pair = client, credentials, pair
        self._wait_online = wait_online
        self._wanted = False
        self._kicked = asyncio.Event()
        self.refusal: str | None = None
        """The reason with which the cloud refused the last renewal: the owner must do something."""
        client.when_refused(self.heard)

    def heard(self, reason: str) -> None:
        """The cloud refused a request with this reason."""
        if reason in RENEW_AT_ONCE or (reason == KEY_SUPERSEDED and self._pair.begun):
            self._wanted = True
            self._kicked.set()

    def left(self) -> float | None:
        """Seconds until the certificate ends; None without one, and while nobody knows the time."""
        credentials = self._credentials.current
        if credentials is None or not self._client.time.trusted:
            return None
        return parse(credentials.certificate_not_after).timestamp() - self._client.time.now()

    @property
    def alert(self) -> str | None:
        """What a person should know, as a stable word: ending, ended, or the reason of a refusal."""
        if self.refusal is not None:
            return self.refusal
        left = self.left()
        if left is None or left >= ALERT_S:
            return None
        return "ending" if left > 0 else "ended"

    def due(self) -> bool:
        """Whether to renew now."""
        credentials = self._credentials.current
        if credentials is None:
            return False
        if self._wanted or self._pair.begun:
            return True
        return self._client.time.trusted and self._client.time.now() >= renew_at(credentials)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wait_online()
            pause = await self.look()
            if pause < LOOK_S:
                await asyncio.sleep(pause)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._kicked.wait()
            self._kicked.clear()

    async def look(self) -> float:
        """Renews if it is time; the seconds until the next look."""
        if not self.due():
            return LOOK_S
        try:
            await self._exchange()
        except Unreachable as error:
            log.info("the certificate is not renewed yet: %s", error)
            return RETRY_S
        except Refused as refusal:
            return self._refused(refusal)
        except KeyUnavailable as error:
            log.error("the next key cannot be made or used: %s", error)
            return RETRY_S
        except OSError as error:
            log.error("the new certificate cannot be kept: %s", error)
            return RETRY_S
        self._wanted, self.refusal = False, None
        self._kicked.clear()
        return LOOK_S

    def _refused(self, refusal: Refused) -> float:
        log.warning("the certificate is not renewed: %s", refusal)
        if refusal.reason in (RENEWAL_TOO_LATE, KEY_REVOKED):
            self.refusal = refusal.reason
        return max(refusal.retry_after or 0.0, RETRY_S)

    async def _exchange(self) -> None:
        """Both phases, from wherever a cut left them. Raises `Unreachable`, `Refused`,
        `KeyUnavailable`, `OSError`."""
        current = self._credentials.current
        assert current is not None, "only a claimed station has something to renew"  # noqa: S101
        new = DeviceKey(await to_the_end(self._pair.key), self._client.key.short_id)
        if not self._pair.fetched:
            await self._fetch(current, new)
        await self._use(current, new)
        await to_the_end(self._credentials.exchange, self._pair.install)
        self._client.key.replace(new.private)
        if self._credentials.current is not None:
            await self._client.present(self._credentials.current.certificate)
        log.info("the certificate was renewed; the key is now %s", new.keyid)

    async def _fetch(self, current: Credentials, new: DeviceKey) -> None:
        request = RenewRequest(csr=await to_the_end(new.csr), key_storage=new.storage)
        path = f"/v1/devices/{current.device_id}/certificates/renew"
        try:
            reply = await self._client.send("POST", path, msgspec.json.encode(request))
        except Refused as refusal:
            if refusal.status in _USELESS:
                await to_the_end(self._pair.drop)
            raise
        answer = reply.read(RenewAnswer)
        await to_the_end(_check, answer, new)
        fetched = renewed(current, answer, self._client.key.short_id)
        await to_the_end(self._pair.keep, msgspec.json.encode(fetched))

    async def _use(self, current: Credentials, new: DeviceKey) -> None:
        """The first request by the new key, after which the old one is worth nothing any more."""
        try:
            await self._client.send("GET", f"/v1/devices/config/{current.device_id}", key=new)
        except Refused as refusal:
            if refusal.reason in RENEW_AT_ONCE:
                return  # the cloud knows the key; its certificate is renewed in the next round
            if refusal.reason in (UNKNOWN_KEY, KEY_SUPERSEDED):
                await to_the_end(self._pair.drop)
            raise


def _check(answer: RenewAnswer, key: DeviceKey) -> None:
    """Raises `Unreachable` for a certificate of another key: whoever answered was not the cloud."""
    from cryptography import x509  # here because it is large, and needed four times a year
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        found = x509.load_pem_x509_certificate(answer.device_certificate.encode()).public_key()
        parse(answer.renew_after), parse(answer.certificate_not_after)
    except ValueError as error:
        raise Unreachable("connect", f"The cloud's new certificate cannot be read: {error}") from None
    if not isinstance(found, ec.EllipticCurvePublicKey) or thumbprint(found) != key.keyid:
        raise Unreachable("connect", "The cloud's new certificate belongs to another key.")
