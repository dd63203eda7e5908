"""Whether a well signed device token still counts: station, key, epoch, deny list. Verifies nothing."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from cloud.registry.tokens import DeviceClaims
from cloud.store.engine import Database
from cloud.store.schema import denied_token, device, device_key


async def standing(database: Database, claims: DeviceClaims) -> str | None:
    """Why a token counts no more; None while it does."""
    return await database.read(lambda connection: _standing(connection, claims))


def _standing(connection: Connection, claims: DeviceClaims) -> str | None:
    query = (
        select(device.c.status, device.c.epoch, device_key.c.status.label("key_status"))
        .join_from(device_key, device)
        .where(device_key.c.keyid == claims.keyid, device.c.id == claims.device_id)
    )
    row = connection.execute(query).first()
    if row is None or row.status != "active" or row.key_status != "active":
        return "The station or its key does not count any more."
    if row.epoch != claims.epoch:
        return "The token is from another ownership."
    denied = select(denied_token.c.jti).where(denied_token.c.jti == claims.token_id)
    return "The token was denied." if connection.execute(denied).first() else None


async def deny(database: Database, claims: DeviceClaims) -> None:
    """Takes one token back, for as long as it would have lasted."""
    values = {"jti": claims.token_id, "expires": claims.ends * 1000}

    def change(connection: Connection) -> None:
        known = select(denied_token.c.jti).where(denied_token.c.jti == claims.token_id)
        if connection.execute(known).first() is None:
            connection.execute(insert(denied_token).values(**values))

    await database.write(change)


async def forget_ended(database: Database, now_ms: int) -> None:
    """Tokens that have ended by themselves need not be denied."""
    ended = denied_token.c.expires < now_ms
    await database.write(lambda connection: connection.execute(delete(denied_token).where(ended)).close())
