"""Which key speaks for which station: giving one, ending all others. Runs inside transactions."""

from __future__ import annotations

from sqlalchemy import Connection, insert, update

from cloud.registry.authority import public_pem
from cloud.security.device_auth import Claimant
from cloud.store.schema import certificate, device_key


def give_key(connection: Connection, device_id: str, claimant: Claimant, now_ms: int) -> None:
    """Makes a key the station's. One that belonged to a released station is free again."""
    fresh = {"first_used": None, "replaces": None, "approved_until": None}
    values = {"device_id": device_id, "status": "active", "created": now_ms, **fresh}
    known = update(device_key).where(device_key.c.keyid == claimant.keyid).values(**values)
    if connection.execute(known).rowcount == 0:
        pem = public_pem(claimant.key)
        connection.execute(insert(device_key).values(keyid=claimant.keyid, public_key=pem, **values))


def revoke_keys(connection: Connection, device_id: str, now_ms: int, *, keep: str | None = None) -> None:
    """No key of the station may sign any more, nor is any certificate in force, but those of `keep`."""
    keys, leaves = device_key.c.device_id == device_id, certificate.c.device_id == device_id
    if keep is not None:
        keys, leaves = keys & (device_key.c.keyid != keep), leaves & (certificate.c.keyid != keep)
    connection.execute(update(device_key).where(keys).values(status="revoked"))
    connection.execute(
        update(certificate)
        .where(leaves, certificate.c.status == "active")
        .values(status="revoked", revoked_ms=now_ms, reason="cessation_of_operation")
    )
