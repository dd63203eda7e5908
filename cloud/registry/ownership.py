"""Whose a station is, and how that ends: released to nobody, or handed over by a link. Claims begin it.

The history stays with the former owner, under the old id. The key may be claimed anew and then is another
station, so nothing of the old ownership (certificate, token, configuration, orders) is worth anything to it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from cloud.realtime.bus import Bus
from cloud.registry import preauthorised, records
from cloud.registry.keys import revoke_keys
from cloud.registry.news import ClaimNews
from cloud.registry.preauthorised import HANDED_OVER
from cloud.security import audit
from cloud.security.access import Need, reachable
from cloud.security.limits import Limits
from cloud.store.engine import Database
from cloud.store.schema import (
    account,
    claim,
    command,
    device,
    device_key,
    fingerprint_component,
    invitation,
    share,
    transfer,
)
from cloud.validation import clean_name
from protocol.clock import from_unix
from protocol.codes import base64url, secret_hash, ulid
from protocol.errors import CLAIM_DENIED, Refusal, not_found
from protocol.limits import USER_CLAIMS, USER_CODE_ATTEMPTS
from protocol.ownership_messages import Released, TransferAccepted, TransferOffer, TransferWithdrawn

TRANSFER_LIFE_MS = 7 * 86_400_000
ARRIVAL_LIFE_MS = 30 * 86_400_000
"""So long a station that was handed over may stay away before its new owner must claim it by its card."""


@dataclass(frozen=True)
class Offer:
    """What the receiver of a link is told: the station, and who gives it."""

    transfer_id: str
    device_id: str
    device_name: str
    owner_id: str
    owner_email: str
    expires_ms: int


class Ownership:
    """Ends and hands over ownership. Foreign and unknown stations get the same `not_found`."""

    def __init__(
        self,
        database: Database,
        news: ClaimNews,
        bus: Bus,
        buckets: Limits,
        base: str,
        unix_ms: Callable[[], int],
    ) -> None:
        self._db, self._news, self._bus, self._limits = database, news, bus, buckets
        self._base, self._unix_ms = base, unix_ms

    async def release(self, account_id: str, device_id: str) -> Released:
        """The station is nobody's at once: its certificate, its token and its key's right to send end."""
        now = self._unix_ms()

        def change(connection: Connection) -> int:
            row = owned(connection, account_id, device_id)
            return end_ownership(connection, row, f"person:{account_id}", now)

        epoch = await self._db.write(change)
        self._tell(account_id, device_id)
        return Released(
            device_id=device_id, status="released", epoch=epoch, server_time=from_unix(now / 1000)
        )

    async def offer(self, account_id: str, device_id: str) -> TransferOffer:
        """A link by which another person takes the station over; an earlier one ends. Raises REG-006."""
        await self._limits.take("transfers", account_id, USER_CLAIMS)
        token, now = "mtt_" + base64url(secrets.token_bytes(32)), self._unix_ms()
        values = {
            "id": ulid(HANDED_OVER, now),
            "device_id": device_id,
            "account_id": account_id,
            "token_hash": secret_hash(token),
            "status": "open",
            "created": now,
            "expires": now + TRANSFER_LIFE_MS,
        }
        await self._db.write(partial(_offer, account_id, device_id, values))
        return TransferOffer(
            transfer_id=str(values["id"]),
            device_id=device_id,
            accept_url=f"{self._base}/transfer/{token}",
            transfer_token=token,
            expires_at=from_unix((now + TRANSFER_LIFE_MS) / 1000),
            server_time=from_unix(now / 1000),
        )

    async def withdraw(self, account_id: str, device_id: str) -> TransferWithdrawn:
        """Ends every open link of a station."""
        now = self._unix_ms()

        def change(connection: Connection) -> int:
            owned(connection, account_id, device_id)
            ended = _withdraw(connection, device_id)
            if ended:
                audit.record(connection, now, f"person:{account_id}", "transfer_withdrawn", device_id)
            return ended

        ended = await self._db.write(change)
        return TransferWithdrawn(device_id=device_id, withdrawn=ended, server_time=from_unix(now / 1000))

    async def look(self, account_id: str, token: str) -> Offer:
        """What a link offers. Raises `not_found` for one that is unknown, used, withdrawn or too old."""
        await self._limits.take("transfer-links", account_id, USER_CODE_ATTEMPTS)
        return await self._db.read(lambda c: _offered(c, token, self._unix_ms()))

    async def accept(self, account_id: str, token: str, name: str | None = None) -> TransferAccepted:
        """Ends the giver's ownership and lets the station's key come to the receiver without a code."""
        await self._limits.take("transfer-links", account_id, USER_CODE_ATTEMPTS)
        wanted, now = None if name is None else clean_name(name), self._unix_ms()
        done = await self._db.write(lambda c: _accept(c, account_id, token, wanted, now))
        if isinstance(done, Refusal):
            raise done
        offer, claim_id = done
        self._tell(offer.owner_id, offer.device_id)
        await self._news.publish([claim_id])
        return TransferAccepted(
            transfer_id=offer.transfer_id,
            claim_id=claim_id,
            device_name=wanted or offer.device_name,
            server_time=from_unix(now / 1000),
        )

    def _tell(self, account_id: str, device_id: str) -> None:
        self._bus.publish(account_id, "device-released", {"deviceId": device_id})
        self._bus.wake_station(device_id)
        self._bus.set_audience(device_id, [])


def owned(connection: Connection, account_id: str, device_id: str) -> Row[Any]:
    """A station that is this person's now. Raises `not_found`, and 403 for somebody it is shared with."""
    row, _ = reachable(connection, account_id, device_id, Need.READ)
    if row.status == "released":
        raise not_found()
    return reachable(connection, account_id, device_id, Need.OWN)[0]


def end_ownership(
    connection: Connection, row: Row[Any], actor: str, now_ms: int, arrival: str | None = None
) -> int:
    """Everything that made the station somebody's, in one transaction. The epoch in which nothing holds.

    `arrival` is the one claim that may wait for its key.
    """
    epoch = int(row.epoch) + 1
    own = select(device_key.c.keyid).where(device_key.c.device_id == row.id)
    for keyid in connection.execute(own).scalars().all():
        preauthorised.purge(connection, keyid, keep=arrival)
    connection.execute(
        update(device)
        .where(device.c.id == row.id)
        .values(status="released", epoch=epoch, released_ms=now_ms, clone_ms=None)
    )
    revoke_keys(connection, row.id, now_ms)
    waiting = (command.c.device_id == row.id) & command.c.state.in_(("QUEUED", "IN_PROGRESS"))
    connection.execute(update(command).where(waiting).values(state="CANCELED", updated=now_ms))
    for shared in (share, invitation):
        connection.execute(delete(shared).where(shared.c.device_id == row.id))
    connection.execute(delete(fingerprint_component).where(fingerprint_component.c.device_id == row.id))
    _withdraw(connection, row.id)
    for asked in connection.execute(select(claim.c.id).where(claim.c.replaces == row.id)).scalars().all():
        records.expire(connection, asked, CLAIM_DENIED, "REG-002")
    audit.record(connection, now_ms, actor, "device_released", row.id, epoch=epoch)
    return epoch


def _withdraw(connection: Connection, device_id: str) -> int:
    open_ones = (transfer.c.device_id == device_id) & (transfer.c.status == "open")
    return connection.execute(update(transfer).where(open_ones).values(status="withdrawn")).rowcount


def _offer(account_id: str, device_id: str, values: dict[str, Any], connection: Connection) -> None:
    owned(connection, account_id, device_id)
    _withdraw(connection, device_id)
    connection.execute(transfer.insert().values(**values))
    audit.record(
        connection, values["created"], f"person:{account_id}", "transfer_offered", device_id, id=values["id"]
    )


def _offered(connection: Connection, token: str, now_ms: int) -> Offer:
    query = (
        select(transfer, device.c.name, account.c.email)
        .join_from(transfer, device, device.c.id == transfer.c.device_id)
        .join(account, account.c.id == transfer.c.account_id)
        .where(
            transfer.c.token_hash == secret_hash(token),
            transfer.c.status == "open",
            transfer.c.expires > now_ms,
            device.c.account_id == transfer.c.account_id,
            device.c.status != "released",
        )
    )
    row = connection.execute(query).first()
    if row is None:
        raise not_found()
    return Offer(row.id, row.device_id, row.name, row.account_id, row.email, row.expires)


def _accept(
    connection: Connection, account_id: str, token: str, name: str | None, now_ms: int
) -> tuple[Offer, str] | Refusal:
    again = connection.execute(
        select(transfer, device.c.name)
        .join_from(transfer, device, device.c.id == transfer.c.device_id)
        .where(transfer.c.token_hash == secret_hash(token), transfer.c.accepted_by == account_id)
    ).first()
    if again is not None:  # a double click, or an answer that was lost
        return Offer(
            again.id, again.device_id, again.name, again.account_id, "", again.expires
        ), again.claim_id
    offer = _offered(connection, token, now_ms)
    if offer.owner_id == account_id:
        return Refusal("REG-003", "already_registered", "This station is yours already.")
    row = owned(connection, offer.owner_id, offer.device_id)
    key = (
        connection.execute(
            select(device_key.c.keyid).where(
                device_key.c.device_id == row.id, device_key.c.status == "active"
            )
        )
        .scalars()
        .first()
    )
    if key is None:
        return Refusal("REG-003", "no_key", "This station has no key that could be handed over.")
    arrival = _arrival(connection, account_id, row, key, name, offer.transfer_id, now_ms)
    connection.execute(
        update(transfer)
        .where(transfer.c.id == offer.transfer_id)
        .values(status="accepted", accepted_by=account_id, claim_id=arrival)
    )
    end_ownership(connection, row, f"person:{account_id}", now_ms, arrival)
    return offer, arrival


def _arrival(
    connection: Connection,
    account_id: str,
    row: Row[Any],
    keyid: str,
    name: str | None,
    transfer_id: str,
    now_ms: int,
) -> str:
    """The receiver's claim: it waits for the very key, so that no code is needed."""
    made = records.add(
        connection,
        id=ulid("clm_", now_ms),
        mode="expectation",
        account_id=account_id,
        keyid=keyid,
        status="pending",
        name=name or row.name,
        location=row.location,
        batch_id=transfer_id,
        created=now_ms,
        expires=now_ms + ARRIVAL_LIFE_MS,
    )
    return str(made.id)
