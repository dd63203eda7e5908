"""A station exchanges its key and certificate: the old key asks for the new one. No HTTP.

Invariants: the old key stays valid until the new one was used, or for a week; the same request gets the same
certificate; a station that never got its answer can always ask again with the key it has.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, insert, select, update

from cloud.fleet.configuration import Configurations
from cloud.registry import certificates as kept
from cloud.registry.authority import public_key_of, public_pem
from cloud.registry.certificates import Certificates
from cloud.security import audit
from cloud.security.access import Need, reachable
from cloud.security.device_auth import Renewer
from cloud.security.limits import Limits
from cloud.store.engine import Database
from cloud.store.schema import device, device_key
from protocol.certificate_messages import RenewAnswer, RenewRequest
from protocol.clock import from_unix
from protocol.errors import Refusal
from protocol.limits import Rate
from protocol.signature import thumbprint

ALL_RENEWALS = Rate(100_800, 3600, 200)
"""28 a second, so that 100,000 stations have new certificates in an hour, and other work goes on."""
OWN_RENEWALS = Rate(20, 3600, 10)
APPROVAL_MS = 7 * 86_400_000


class Renewals:
    """Renewal of every station's certificate."""

    def __init__(
        self,
        database: Database,
        certificates: Certificates,
        configurations: Configurations,
        buckets: Limits,
        unix_ms: Callable[[], int],
    ) -> None:
        self._db, self._certificates, self._limits = database, certificates, buckets
        self._configurations = configurations
        self._unix_ms = unix_ms

    async def renew(self, renewer: Renewer, request: RenewRequest) -> tuple[RenewAnswer, bool]:
        """The new certificate, and whether it was made just now. Raises `Refusal`."""
        key = public_key_of(request.csr)
        await self._limits.take("renewal", renewer.keyid, OWN_RENEWALS)
        await self._limits.take("renewals", "", ALL_RENEWALS)
        return await self._db.write(partial(self._renew, renewer, key, self._unix_ms()))

    def _renew(
        self, renewer: Renewer, key: ec.EllipticCurvePublicKey, now: int, connection: Connection
    ) -> tuple[RenewAnswer, bool]:
        keyid = thumbprint(key)
        if keyid == renewer.keyid:
            raise Refusal("REG-001", "same_key", "A renewal needs a new key.", field="$.csr")
        known = connection.execute(select(device_key).where(device_key.c.keyid == keyid)).first()
        if known is not None:
            if known.replaces != renewer.keyid or known.status != "active":
                raise Refusal("REG-003", "already_registered", "This key was used before.", field="$.csr")
            return self._answer(connection, renewer.device_id, keyid, now), False
        kept.check_grace(connection, renewer.keyid, now)
        self._make(connection, renewer, keyid, key, now)
        return self._answer(connection, renewer.device_id, keyid, now), True

    def _make(
        self,
        connection: Connection,
        renewer: Renewer,
        keyid: str,
        key: ec.EllipticCurvePublicKey,
        now: int,
    ) -> None:
        kept.drop_unused_successors(connection, renewer.keyid, now)
        connection.execute(
            insert(device_key).values(
                keyid=keyid,
                device_id=renewer.device_id,
                public_key=public_pem(key),
                status="active",
                created=now,
                replaces=renewer.keyid,
            )
        )
        self._certificates.certify(connection, renewer.device_id, keyid, key, now)
        self._configurations.for_epoch(connection, renewer.device_id, renewer.epoch, now)
        actor = f"device:{renewer.keyid}"
        audit.record(connection, now, actor, "certificate_renewed", renewer.device_id, keyid=keyid)

    def _answer(self, connection: Connection, device_id: str, keyid: str, now: int) -> RenewAnswer:
        made = self._certificates.of(connection, keyid)
        if made is None:
            raise Refusal("REG-008", "no_certificate", "The certificate of this key was revoked.")
        row = select(device.c.epoch).where(device.c.id == device_id)
        return RenewAnswer(
            device_id=device_id,
            serial=made.serial,
            epoch=connection.execute(row).scalar_one(),
            device_certificate=made.chain,
            ca_certificate=made.root,
            renew_after=made.renew_after,
            certificate_not_after=made.not_after,
            server_time=from_unix(now / 1000),
        )

    async def approve(self, account_id: str, device_id: str) -> None:
        """The owner lets a station renew within a week, however long ago its certificate ended."""
        now = self._unix_ms()

        def change(connection: Connection) -> None:
            reachable(connection, account_id, device_id, Need.OWN)
            mine = (device_key.c.device_id == device_id) & (device_key.c.status != "revoked")
            connection.execute(update(device_key).where(mine).values(approved_until=now + APPROVAL_MS))
            audit.record(connection, now, f"person:{account_id}", "renewal_approved", device_id)

        await self._db.write(change)

    async def end_overlaps(self) -> None:
        """A duty of upkeep: after a week the old key is worth nothing, but for asking again."""
        now = self._unix_ms()
        await self._db.write(lambda connection: kept.retire_overlapped(connection, now))
