"""Many stations at once (mode C): keys said beforehand, and batches of one-use tokens. No HTTP, no files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from cloud.registry import records
from cloud.registry.ownership import owned
from cloud.registry.preauthorised import BATCH
from cloud.security import audit
from cloud.security.limits import Limits
from cloud.store.engine import Database
from cloud.store.schema import claim
from cloud.validation import clean_name
from protocol import codes
from protocol.batch_messages import (
    BatchClaim,
    BatchRequest,
    BatchRow,
    BatchStatus,
    BatchToken,
    PreauthorizeAnswer,
    PreauthorizedKey,
    PreauthorizedStation,
    PreauthorizeRequest,
    TokenBatch,
)
from protocol.clock import from_unix
from protocol.errors import CLAIM_DENIED, Refusal, not_found
from protocol.limits import USER_CLAIMS

MOST_OPEN = 10_000
"""Of one person: what waits in the store for stations that never came."""


class Batches:
    """The lists of persons."""

    def __init__(
        self, database: Database, buckets: Limits, base: str, ca_pin: str, unix_ms: Callable[[], int]
    ) -> None:
        self._db, self._limits, self._unix_ms = database, buckets, unix_ms
        self._base, self._ca_pin = base, ca_pin

    async def preauthorize(self, account_id: str, request: PreauthorizeRequest) -> PreauthorizeAnswer:
        """Each key's first signed claim succeeds. Raises `Refusal` REG-006, REG-007."""
        await self._limits.take("batches", account_id, USER_CLAIMS)
        now = self._unix_ms()
        batch_id, expires = codes.ulid(BATCH, now), now + request.expires_in * 1000

        def change(connection: Connection) -> list[PreauthorizedStation]:
            _room(connection, account_id, len(request.stations), now)
            common = _common(account_id, batch_id, now, expires)
            done = [_say(connection, account_id, one, common) for one in request.stations]
            _record(connection, now, account_id, "keys_preauthorized", batch_id, len(done))
            return done

        return PreauthorizeAnswer(
            batch_id=batch_id,
            expires_at=from_unix(expires / 1000),
            stations=await self._db.write(change),
            server_time=from_unix(now / 1000),
        )

    async def tokens(self, account_id: str, request: BatchRequest) -> TokenBatch:
        """A one-use token for each row. Raises `Refusal` REG-006, REG-007, and `not_found` for a foreign
        `device_id`."""
        await self._limits.take("batches", account_id, USER_CLAIMS)
        now = self._unix_ms()
        batch_id, expires = codes.ulid(BATCH, now), now + request.expires_in * 1000

        def change(connection: Connection) -> list[BatchToken]:
            _room(connection, account_id, len(request.stations), now)
            common = _common(account_id, batch_id, now, expires)
            done = [self._token(connection, account_id, row, common) for row in request.stations]
            _record(connection, now, account_id, "batch_opened", batch_id, len(done))
            return done

        return TokenBatch(
            batch_id=batch_id,
            expires_at=from_unix(expires / 1000),
            stations=await self._db.write(change),
            server_time=from_unix(now / 1000),
        )

    def _token(
        self, connection: Connection, account_id: str, row: BatchRow, common: dict[str, Any]
    ) -> BatchToken:
        token, name = codes.new_claim_token(), row.name and clean_name(row.name)
        values = common | {"mode": "token", "token_hash": codes.secret_hash(token)}
        if row.device_id is not None:
            name = name or owned(connection, account_id, row.device_id).name
            owned(connection, account_id, row.device_id)
            values |= {"replaces": row.device_id, "consent": "yes"}
        claim_id = codes.ulid("clm_", common["created"])
        location = msgspec.to_builtins(row.location)
        records.add(connection, id=claim_id, name=name, location=location, **values)
        text = codes.claim_text(self._base, token, self._ca_pin)
        return BatchToken(claim_id=claim_id, claim_token=token, qr_text=text, name=name)

    async def status(self, account_id: str, batch_id: str) -> BatchStatus:
        """How far each station of a batch is. Raises `not_found`."""
        mine = (claim.c.batch_id == batch_id) & (claim.c.account_id == account_id)
        query = select(claim).where(mine).order_by(claim.c.id)
        rows = await self._db.read(lambda c: c.execute(query).all())
        if not rows:
            raise not_found()
        now = self._unix_ms()
        shown = [
            BatchClaim(
                claim_id=row.id,
                status="expired" if records.closed_reason(row, now) else row.status,
                name=row.name,
                device_id=row.device_id,
            )
            for row in rows
        ]
        return BatchStatus(batch_id=batch_id, stations=shown, server_time=from_unix(now / 1000))

    async def cancel(self, account_id: str, batch_id: str) -> BatchStatus:
        """Ends what is still open of a batch; stations that came stay. Raises `not_found`."""
        await self.status(account_id, batch_id)
        now = self._unix_ms()

        def change(connection: Connection) -> None:
            mine = (claim.c.batch_id == batch_id) & (claim.c.account_id == account_id)
            for claim_id in connection.execute(select(claim.c.id).where(mine)).scalars().all():
                records.expire(connection, claim_id, CLAIM_DENIED, "REG-002")
            audit.record(connection, now, f"person:{account_id}", "batch_cancelled", batch_id)

        await self._db.write(change)
        return await self.status(account_id, batch_id)


def _common(account_id: str, batch_id: str, now_ms: int, expires_ms: int) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "batch_id": batch_id,
        "status": "pending",
        "created": now_ms,
        "expires": expires_ms,
    }


def _room(connection: Connection, account_id: str, wanted: int, now_ms: int) -> None:
    waiting = select(func.count()).where(
        claim.c.account_id == account_id,
        claim.c.status == "pending",
        claim.c.expires > now_ms,
        claim.c.batch_id.is_not(None),
    )
    if connection.execute(waiting).scalar_one() + wanted > MOST_OPEN:
        raise Refusal(
            "REG-006",
            "too_many_open",
            f"At most {MOST_OPEN} stations of your lists may wait. Cancel a list first.",
            retry_after=3600,
        )


def _say(
    connection: Connection, account_id: str, one: PreauthorizedKey, common: dict[str, Any]
) -> PreauthorizedStation:
    """Foreign keys look like new ones: the answer tells nobody which stations there are."""
    mine = (claim.c.keyid == one.keyid) & (claim.c.account_id == account_id)
    before = connection.execute(records.live(common["created"]).where(mine)).first()
    if before is not None:
        return PreauthorizedStation(keyid=one.keyid, claim_id=before.id, state="known")
    claim_id = codes.ulid("clm_", common["created"])
    name = one.name and clean_name(one.name)
    location = msgspec.to_builtins(one.location)
    records.add(
        connection,
        id=claim_id,
        mode="expectation",
        keyid=one.keyid,
        name=name,
        location=location,
        **common,
    )
    return PreauthorizedStation(keyid=one.keyid, claim_id=claim_id, state="added")


def _record(
    connection: Connection, now_ms: int, account_id: str, action: str, batch_id: str, count: int
) -> None:
    audit.record(connection, now_ms, f"person:{account_id}", action, batch_id, stations=count)
