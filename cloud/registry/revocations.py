"""Keys and certificates are revoked: of one station by its owner, of all by the operator. No HTTP.

Nothing is cached: the next request of a revoked key is refused, and `when_revoked` closes what is open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy import Connection, select, update

from cloud.registry import certificates as kept
from cloud.registry.crl import RevocationList
from cloud.security import audit
from cloud.security.access import Need, reachable
from cloud.store.engine import Database
from cloud.store.schema import certificate, device, device_key
from protocol.certificate_messages import (
    CertificateItem,
    CertificateList,
    RevokeAnswer,
    RevokeRequest,
)
from protocol.clock import from_unix
from protocol.errors import not_found


class Revocations:
    """The owner's side."""

    def __init__(self, database: Database, crl: RevocationList, unix_ms: Callable[[], int]) -> None:
        self._db, self._crl, self._unix_ms = database, crl, unix_ms
        self._observers: list[Callable[[str], None]] = []

    def when_revoked(self, tell: Callable[[str], None]) -> None:
        """Calls `tell` with the id of each station that was shut out by this process."""
        self._observers.append(tell)

    async def revoke(self, account_id: str, device_id: str, wish: RevokeRequest) -> RevokeAnswer:
        """Shuts a station out. Raises `not_found`."""
        now = self._unix_ms()

        def change(connection: Connection) -> int:
            reachable(connection, account_id, device_id, Need.OWN)
            ended = revoke_device(connection, device_id, wish.reason, now)
            actor = f"person:{account_id}"
            audit.record(
                connection, now, actor, "device_revoked", device_id, reason=wish.reason, note=wish.note
            )
            return ended

        revoked = await self._db.write(change)
        for tell in self._observers:
            tell(device_id)
        await self._crl.refresh()
        return RevokeAnswer(revoked=revoked, server_time=from_unix(now / 1000))

    async def list(self, account_id: str, device_id: str) -> CertificateList:
        """Every certificate that a station had. Raises `not_found`."""
        items = await self._db.read(partial(_items, account_id, device_id))
        return CertificateList(certificates=list(items), server_time=from_unix(self._unix_ms() / 1000))

    async def pem(self, account_id: str, device_id: str, serial: str, chain: Callable[..., str]) -> str:
        """One certificate with its chain. Raises `not_found`."""

        def read(connection: Connection) -> str:
            reachable(connection, account_id, device_id, Need.READ)
            for row in kept.of_device(connection, device_id):
                if row.serial == serial:
                    return chain(row)
            raise not_found()

        return await self._db.read(read)


def _items(account_id: str, device_id: str, connection: Connection) -> Sequence[CertificateItem]:
    reachable(connection, account_id, device_id, Need.READ)
    return [
        CertificateItem(
            serial=row.serial,
            keyid=row.keyid,
            sha256=row.sha256,
            not_before_ms=row.not_before,
            not_after_ms=row.not_after,
            status=row.status,
            revoked_ms=row.revoked_ms,
            reason=row.reason,
        )
        for row in kept.of_device(connection, device_id)
    ]


def revoke_device(connection: Connection, device_id: str, reason: str, now_ms: int) -> int:
    """All keys and certificates of a station; how many certificates were ended by it."""
    keys = (device_key.c.device_id == device_id) & (device_key.c.status != "revoked")
    connection.execute(update(device_key).where(keys).values(status="revoked"))
    mine = (certificate.c.device_id == device_id) & (certificate.c.status != "revoked")
    return _end(connection, mine, reason, now_ms)


def revoke_serial(connection: Connection, serial: str, reason: str, now_ms: int) -> str | None:
    """One certificate with its key; the station's id, or None when there is no such certificate."""
    row = connection.execute(select(certificate).where(certificate.c.serial == serial)).first()
    if row is None:
        return None
    connection.execute(update(device_key).where(device_key.c.keyid == row.keyid).values(status="revoked"))
    _end(connection, certificate.c.serial == serial, reason, now_ms)
    device_id: str = row.device_id
    return device_id


def revoke_all(connection: Connection, reason: str, now_ms: int) -> int:
    """Every certificate and every token, but no key: each station enrols again by the key that it has.

    Ownership's epoch goes up, so that tokens and configurations from before are worth nothing.
    """
    connection.execute(update(device).where(device.c.status == "active").values(epoch=device.c.epoch + 1))
    return _end(connection, certificate.c.status == "active", reason, now_ms)


def _end(connection: Connection, which: object, reason: str, now_ms: int) -> int:
    change = update(certificate).where(which)  # type: ignore[arg-type]
    result = connection.execute(change.values(status="revoked", revoked_ms=now_ms, reason=reason))
    return result.rowcount
