"""Who signed a device's request: from the signature to the device it may speak for. Knows no route.

The order of checks: signature well-formed, key known, signature and digest hold, time within the window,
nonce new, key, certificate and device active, path id equal to the key's device. The first that fails is the
answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from sqlalchemy import BindParameter, Connection, Select, bindparam, func, select, update

from cloud.registry.certificates import retire_predecessor
from cloud.security import audit
from cloud.security.limits import Limits
from cloud.security.replay import spend
from cloud.store.engine import Database
from cloud.store.schema import certificate, claim, device, device_key
from protocol import signature
from protocol.certificate_messages import (
    CERTIFICATE_EXPIRED,
    CERTIFICATE_REVOKED,
    KEY_REVOKED,
    KEY_SUPERSEDED,
)
from protocol.errors import CLOCK_SKEW, RELEASED, UNKNOWN_KEY, Refusal, not_found
from protocol.limits import Rate

log = logging.getLogger(__name__)

_THREAD_ABOVE = 64 * 1024
"""Bodies larger than this are hashed in a thread, so that the event loop goes on."""

_NOTED = Rate(20, 3600, 20)
"""Audit entries per key: a flood of bad requests must not become a flood of writes."""


@dataclass(frozen=True)
class DevicePrincipal:
    """A device that proved its key in this request."""

    device_id: str
    account_id: str
    keyid: str
    epoch: int
    boot: int
    sequence: int


@dataclass(frozen=True)
class Renewer:
    """A device that proved a key that it may exchange, whether its certificate still holds or not."""

    device_id: str
    keyid: str
    epoch: int


@dataclass(frozen=True)
class Claimant:
    """Somebody who proved a key that may not belong to any device yet."""

    keyid: str
    key: ec.EllipticCurvePublicKey


class DeviceAuth:
    """Verifies requests against the keys in the store."""

    def __init__(
        self,
        database: Database,
        limits: Limits,
        unix_ms: Callable[[], int],
        *,
        certificate_required: bool = False,
    ) -> None:
        """With `certificate_required` a signature alone is not enough."""
        self._db = database
        self._certificate_required = certificate_required
        self._limits = limits
        self._unix_ms = unix_ms
        self.when_revoked: Callable[[str], Awaitable[None]] | None = None
        """Told of every proven use of a key that was revoked."""

    async def device(
        self, request: signature.Request, path_id: str | None, presented: str | None = None
    ) -> DevicePrincipal:
        """The device behind a request, which must be the one of the path. Raises `Refusal`.

        `presented` is the SHA-256 of the certificate that the connection was opened with, if any.
        """
        if presented is None and self._certificate_required:
            raise Refusal("REG-004", "no_certificate", "Present the station's certificate (mutual TLS).")
        parsed, row, shown = await self._proven(request, presented)
        await self._check_device(row, parsed.keyid)
        if row.key_status == "superseded":
            raise _may_not(KEY_SUPERSEDED, "This key was replaced by a newer one.")
        if row.ends is None:
            raise _may_not(CERTIFICATE_REVOKED, "The certificate was revoked; renew it.")
        if row.ends <= self._unix_ms():
            raise _may_not(CERTIFICATE_EXPIRED, "The certificate has ended; renew it.")
        if presented is not None:
            _check_presented(shown, row.device_id, self._unix_ms())
        await self._check_path(row, parsed.keyid, path_id)
        return DevicePrincipal(
            row.device_id, row.account_id, parsed.keyid, row.epoch, parsed.boot, parsed.sequence
        )

    async def renewer(self, request: signature.Request, path_id: str) -> Renewer:
        """The device behind a request to renew. Its key may have been replaced by one that was never used."""
        parsed, row, _ = await self._proven(request)
        await self._check_device(row, parsed.keyid)
        if row.key_status == "superseded" and not row.waiting:
            raise _may_not(KEY_SUPERSEDED, "This key was replaced by a newer one.")
        await self._check_path(row, parsed.keyid, path_id)
        return Renewer(row.device_id, parsed.keyid, row.epoch)

    async def _proven(
        self, request: signature.Request, presented: str | None = None
    ) -> tuple[signature.Parsed, Any, Any]:
        """The signature, the row of the key that made it, and that of the certificate that was presented."""
        parsed = signature.parse(request)
        row, shown = await self._db.read(
            lambda connection: (_device_of(connection, parsed.keyid), _shown(connection, presented))
        )
        if row is None:
            raise Refusal("REG-004", UNKNOWN_KEY, "The cloud does not know this key.")
        await self._verify(parsed, request, _load(row.public_key))
        await self._spend(parsed)
        return parsed, row, shown

    async def _check_device(self, row: Any, keyid: str) -> None:
        """Raises `Refusal` 403 when no key of this station, or not this one, may send."""
        if row.status == "released":
            raise _may_not(RELEASED, "Its owner has released this station.")
        if row.key_status == "revoked":
            if self.when_revoked is not None:
                await self.when_revoked(keyid)
            await self._note(keyid, "revoked_use")
            raise _may_not(KEY_REVOKED, "This key was revoked; the station must be reset and claimed again.")
        if row.status != "active":
            await self._note(keyid, "revoked_use")
            raise _may_not("not_active", "This station may not send now; ask its owner.")

    async def _check_path(self, row: Any, keyid: str, path_id: str | None) -> None:
        if path_id is not None and path_id != row.device_id:
            await self._note(keyid, "foreign_path")
            raise not_found()

    async def claimant(
        self, request: signature.Request, key: ec.EllipticCurvePublicKey, *, any_time: bool = False
    ) -> Claimant:
        """The holder of `key`. With `any_time` a wrong clock does not count: something else is fresh."""
        parsed = signature.parse(request)
        if parsed.keyid != signature.thumbprint(key):
            raise Refusal("REG-004", "bad_signature", "The request is signed by another key than it names.")
        await self._verify(parsed, request, key, any_time=any_time)
        await self._spend(parsed)
        return Claimant(parsed.keyid, key)

    async def claim_key(self, request: signature.Request, claim_id: str) -> Claimant:
        """The claimant whose key stands in this claim. Raises `not_found` for every other claim alike."""
        parsed = signature.parse(request)
        stored = await self._db.read(partial(_claim_key, claim_id=claim_id, keyid=parsed.keyid))
        if stored is None:
            raise not_found()
        return await self.claimant(request, _load(stored))

    async def _verify(
        self,
        parsed: signature.Parsed,
        request: signature.Request,
        key: ec.EllipticCurvePublicKey,
        *,
        any_time: bool = False,
    ) -> None:
        now = float(parsed.created) if any_time else self._unix_ms() / 1000
        check = partial(signature.verify, parsed, request, key, now=now)
        try:
            if len(request.body) > _THREAD_ABOVE:
                await asyncio.to_thread(check)
            else:
                check()
        except Refusal as refusal:
            if refusal.reason != CLOCK_SKEW:  # a wrong clock is a condition, not an attack
                await self._note(parsed.keyid, refusal.reason)
            raise

    async def _spend(self, parsed: signature.Parsed) -> None:
        now = self._unix_ms()

        def change(connection: Connection) -> Refusal | None:
            refusal = spend(connection, parsed.keyid, parsed.boot, parsed.sequence, now)
            used = {"key": parsed.keyid, "first_used": now}
            if refusal is None and connection.execute(_USED, used).rowcount:
                retire_predecessor(connection, parsed.keyid, now)
            return refusal

        if refusal := await self._db.write(change):
            await self._note(parsed.keyid, refusal.reason)
            raise refusal

    async def _note(self, keyid: str, reason: str) -> None:
        log.warning("refused a request in the name of key %s: %s", keyid, reason)
        now = self._unix_ms()
        try:
            await self._limits.take("audit", keyid, _NOTED)
        except Refusal:
            return
        await self._db.write(partial(_record, keyid=keyid, reason=reason, now_ms=now))


def _record(connection: Connection, keyid: str, reason: str, now_ms: int) -> None:
    """The actor is unknown: a request in the name of a key need not come from its holder."""
    station = select(device_key.c.device_id).where(device_key.c.keyid == keyid)
    device_id = connection.execute(station).scalar_one_or_none()
    audit.record(connection, now_ms, "unknown", reason, keyid, device=device_id)


def _shown(connection: Connection, sha256: str | None) -> Any:
    """The certificate that was presented. Read before the nonce is spent: a new key's first use ends it."""
    if sha256 is None:
        return None
    return connection.execute(select(certificate).where(certificate.c.sha256 == sha256)).first()


def _check_presented(shown: Any, device_id: str, now_ms: int) -> None:
    if shown is None or shown.device_id != device_id:
        raise Refusal("REG-004", "wrong_certificate", "The certificate belongs to another station.")
    if shown.status != "active":
        raise _may_not(CERTIFICATE_REVOKED, "The certificate was revoked or replaced; renew it.")
    if shown.not_after <= now_ms:
        raise _may_not(CERTIFICATE_EXPIRED, "The certificate has ended; renew it.")


def _may_not(reason: str, detail: str) -> Refusal:
    return Refusal(None, reason, detail, status=403)


def _device_of(connection: Connection, keyid: str) -> Any:
    """The key with its device; `ends` is the end (ms) of its certificate in force, None without one.
    `waiting` counts the newer keys that it asked for and that were not used yet."""
    return connection.execute(_DEVICE, {"key": keyid}).first()


def _device() -> Select[Any]:
    key: BindParameter[str] = bindparam("key")
    ends = select(func.max(certificate.c.not_after)).where(
        certificate.c.keyid == key, certificate.c.status == "active"
    )
    newer = device_key.alias("newer")
    waiting = (
        select(func.count())
        .select_from(newer)
        .where(newer.c.replaces == key, newer.c.status == "active", newer.c.first_used.is_(None))
    )
    return (
        select(
            device_key.c.public_key,
            device_key.c.status.label("key_status"),
            device_key.c.device_id,
            device.c.account_id,
            device.c.status,
            device.c.epoch,
            ends.scalar_subquery().label("ends"),
            waiting.scalar_subquery().label("waiting"),
        )
        .join_from(device_key, device)
        .where(device_key.c.keyid == key)
    )


_DEVICE = _device()
_USED = update(device_key).where(device_key.c.keyid == bindparam("key"), device_key.c.first_used.is_(None))
"""Made once: building a statement costs as much as running it, and every request asks this."""


def _claim_key(connection: Connection, claim_id: str, keyid: str) -> str | None:
    query = select(claim.c.public_key).where(claim.c.id == claim_id, claim.c.keyid == keyid)
    return connection.execute(query).scalar_one_or_none()


@lru_cache(maxsize=4096)
def _load(pem: str) -> ec.EllipticCurvePublicKey:
    key = load_pem_public_key(pem.encode("ascii"))
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError("a stored key is not an elliptic-curve key")
    return key
