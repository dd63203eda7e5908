"""Certificates as the store keeps them: issuing, finding, ending. Who may ask is decided elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, Row, func, insert, select, update

from cloud.registry.authority import Authority
from cloud.store.schema import certificate, device_key
from protocol.certificate_messages import OVERLAP_S, RENEWAL_GRACE_S, RENEWAL_TOO_LATE
from protocol.clock import from_unix
from protocol.errors import Refusal


@dataclass(frozen=True)
class Certified:
    """A certificate with all that its station is told of it."""

    serial: str
    sha256: str
    chain: str
    root: str
    renew_after: str
    not_after: str


class Certificates:
    """Issues with the authority, inside the caller's transaction."""

    def __init__(self, authority: Authority, life: timedelta) -> None:
        self.authority, self.life = authority, life

    def certify(
        self, connection: Connection, device_id: str, keyid: str, key: ec.EllipticCurvePublicKey, now_ms: int
    ) -> None:
        """A new certificate for a key; the one before is superseded."""
        issued = self.authority.issue(key, device_id, datetime.fromtimestamp(now_ms / 1000, UTC), self.life)
        supersede(connection, keyid, now_ms)
        connection.execute(
            insert(certificate).values(
                serial=issued.serial,
                device_id=device_id,
                keyid=keyid,
                sha256=issued.sha256,
                not_before=issued.not_before,
                not_after=issued.not_after,
                status="active",
                pem=issued.pem,
                issuer=issued.issuer,
            )
        )

    def of(self, connection: Connection, keyid: str) -> Certified | None:
        """The certificate in force for a key; None when there is none."""
        leaf = in_force(connection, keyid)
        if leaf is None:
            return None
        renew_after = leaf.not_after - (leaf.not_after - leaf.not_before) // 3
        return Certified(
            serial=leaf.serial,
            sha256=leaf.sha256,
            chain=self.chain(leaf),
            root=self.authority.published_pem,
            renew_after=from_unix(renew_after / 1000),
            not_after=from_unix(leaf.not_after / 1000),
        )

    def chain(self, leaf: Row[Any]) -> str:
        """Leaf and intermediate as a station presents them."""
        return f"{leaf.pem}{self.authority.issuer_pem(leaf.issuer)}"


def in_force(connection: Connection, keyid: str) -> Row[Any] | None:
    """The active certificate of a key, which may have ended."""
    active = (certificate.c.keyid == keyid) & (certificate.c.status == "active")
    return connection.execute(select(certificate).where(active)).first()


def of_device(connection: Connection, device_id: str) -> Sequence[Row[Any]]:
    """All certificates that a station ever had, newest first."""
    query = select(certificate).where(certificate.c.device_id == device_id)
    return connection.execute(query.order_by(certificate.c.not_before.desc(), certificate.c.serial)).all()


def supersede(connection: Connection, keyid: str, now_ms: int) -> None:
    """The certificates of a key are replaced by a newer one."""
    active = (certificate.c.keyid == keyid) & (certificate.c.status == "active")
    connection.execute(update(certificate).where(active).values(status="superseded", revoked_ms=now_ms))


def check_grace(connection: Connection, keyid: str, now_ms: int) -> None:
    """Raises `Refusal` when the last certificate of a key ended so long ago that its owner must be asked."""
    ended = select(func.max(certificate.c.not_after)).where(certificate.c.keyid == keyid)
    last = connection.execute(ended).scalar_one()
    if last is None or now_ms <= last + RENEWAL_GRACE_S * 1000:
        return
    approved = select(device_key.c.approved_until).where(device_key.c.keyid == keyid)
    until = connection.execute(approved).scalar_one_or_none()
    if until is None or until < now_ms:
        detail = "The certificate ended too long ago. The owner must approve this station again in the cloud."
        raise Refusal(None, RENEWAL_TOO_LATE, detail, status=403)


def retire_predecessor(connection: Connection, keyid: str, now_ms: int) -> None:
    """A new key is in use, or had its time: the one that asked for it is worth nothing any more."""
    chosen = select(device_key.c.replaces).where(device_key.c.keyid == keyid, device_key.c.status == "active")
    before = connection.execute(chosen).scalar_one_or_none()
    if before is not None:
        _retire(connection, before, now_ms)


def retire_overlapped(connection: Connection, now_ms: int) -> int:
    """Ends the overlap of keys whose successor is a week old; how many there were."""
    newer = device_key.alias("newer")
    query = (
        select(device_key.c.keyid)
        .join(newer, newer.c.replaces == device_key.c.keyid)
        .where(device_key.c.status == "active", newer.c.status == "active")
        .where(newer.c.created < now_ms - OVERLAP_S * 1000)
    )
    old = connection.execute(query).scalars().all()
    for keyid in old:
        _retire(connection, keyid, now_ms)
    return len(old)


def drop_unused_successors(connection: Connection, keyid: str, now_ms: int) -> None:
    """Keys that were asked for and never used make room for another."""
    unused = (device_key.c.replaces == keyid) & device_key.c.first_used.is_(None)
    found = select(device_key.c.keyid).where(unused, device_key.c.status == "active")
    for successor in connection.execute(found).scalars().all():
        _retire(connection, successor, now_ms)


def _retire(connection: Connection, keyid: str, now_ms: int) -> None:
    active = (device_key.c.keyid == keyid) & (device_key.c.status == "active")
    connection.execute(update(device_key).where(active).values(status="superseded"))
    supersede(connection, keyid, now_ms)
