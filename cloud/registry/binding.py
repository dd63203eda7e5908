"""Brings a person and a station together by short id and PIN or link secret. Runs inside transactions.

A code counts only together with its short id and is compared, never searched for. Whoever comes first waits:
a station's record waits for a person, a person's expectation waits for a station.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from cloud.registry import records
from cloud.registry.authority import public_pem
from cloud.security import audit
from cloud.security.device_auth import Claimant
from cloud.store.schema import claim, device
from protocol.codes import code_mac, same_secret, ulid
from protocol.errors import CLAIM_EXPIRED, TOO_MANY_ATTEMPTS, WRONG_CODE, Refusal
from protocol.limits import CLAIM_LIFE_S, MAX_ATTEMPTS, REPEAT_WINDOW_S
from protocol.messages import ClaimRequest

LIFE_MS = CLAIM_LIFE_S * 1000


@dataclass(frozen=True)
class Codes:
    """What a card says, as MACs. One of the two may be absent on the person's side."""

    short: str
    pin_mac: str | None
    link_mac: str | None

    def fit(self, row: Row[Any]) -> bool:
        """True when a code that both sides have is the same."""
        pairs = ((self.pin_mac, row.pin_mac), (self.link_mac, row.link_mac))
        return any(one and other and same_secret(one, other) for one, other in pairs)


def codes(pepper: bytes, short: str, pin: str | None, link_secret: str | None) -> Codes:
    """MACs of normalised codes, bound to the short id."""
    return Codes(
        short,
        code_mac(pepper, "claim-pin", short, pin) if pin else None,
        code_mac(pepper, "claim-link", short, link_secret) if link_secret else None,
    )


def person_came(
    connection: Connection, account_id: str, card: Codes, name: str | None, location: Any, now_ms: int
) -> tuple[str, list[str]]:
    """The claim that a person's codes lead to, and every claim that changed.

    That is the waiting station's claim when the code fits; else a record of the person's own, which waits, or
    is over at once when a station waits under this short id and the code is wrong.
    """
    own = _own_before(connection, account_id, card, now_ms)
    if own:
        return own.id, []
    waiting = connection.execute(
        records.live(now_ms, "scanning").where(
            claim.c.short_id == card.short, claim.c.account_id.is_(None), claim.c.keyid.is_not(None)
        )
    ).all()
    match = next((row for row in waiting if card.fit(row)), None)
    if match:
        given = {"name": name or match.name, "location": location or match.location}
        _bind(connection, match.id, account_id, now_ms, account_id=account_id, **given)
        return match.id, [match.id]
    expectation = _expect(connection, account_id, card, name, location, now_ms)
    for row in waiting:
        count_failure(connection, row.id, row.attempts + 1, account_id, now_ms)
    if waiting:
        records.expire(connection, expectation, WRONG_CODE, "REG-004")
    return expectation, [expectation, *(row.id for row in waiting)]


def station_came(
    connection: Connection, request: ClaimRequest, claimant: Claimant, card: Codes, now_ms: int
) -> tuple[Row[Any] | Refusal, list[str]]:
    """The live claim of a station that shows a card, and every claim that changed. Never a second one."""
    known = station(request, claimant) | {"pin_mac": card.pin_mac, "link_mac": card.link_mac}
    own = own_live(connection, claimant.keyid, now_ms)
    if own:
        if own.status == "scanning":
            records.change(connection, own.id, **known)  # another PIN does not give new attempts
        return own, []
    _close_stale(connection, claimant.keyid)
    changed: list[str] = []
    for attempts, row in enumerate(_expected(connection, card.short, now_ms), 1):
        changed.append(row.id)
        if card.fit(row):
            _bind(connection, row.id, row.account_id, now_ms, **known)
            return records.get(connection, row.id), changed
        records.expire(connection, row.id, WRONG_CODE, "REG-004")
        audit.record(connection, now_ms, f"person:{row.account_id}", WRONG_CODE, row.id, attempts=attempts)
        if attempts == MAX_ATTEMPTS:
            return records.over(TOO_MANY_ATTEMPTS), changed
    row = records.add(
        connection,
        id=ulid("clm_", now_ms),
        mode="device_code",
        status="scanning",
        short_id=card.short,
        attempts=len(changed),
        created=now_ms,
        expires=now_ms + LIFE_MS,
        **known,
    )
    return row, changed


def _expected(connection: Connection, short: str, now_ms: int) -> Sequence[Row[Any]]:
    """Persons who wait for a station of this name, oldest first."""
    query = records.live(now_ms, "pending").where(claim.c.mode == "expectation", claim.c.short_id == short)
    return connection.execute(query).all()


def _close_stale(connection: Connection, keyid: str) -> None:
    """A record whose time ran out keeps its place in the index of live keys until it is closed."""
    live = (claim.c.keyid == keyid) & claim.c.status.in_(("scanning", "claiming"))
    for stale in connection.execute(select(claim.c.id).where(live)).scalars().all():
        records.expire(connection, stale, CLAIM_EXPIRED, "REG-002")


def own_live(connection: Connection, keyid: str, now_ms: int) -> Row[Any] | None:
    """The one live claim of a key."""
    return connection.execute(
        records.live(now_ms, "scanning", "claiming").where(claim.c.keyid == keyid)
    ).first()


def _own_before(connection: Connection, account_id: str, card: Codes, now_ms: int) -> Row[Any] | None:
    """The same person with the same codes again: a double click, or an answer that was lost."""
    recent = now_ms - REPEAT_WINDOW_S * 1000
    given_up = select(device.c.id).where(device.c.status == "released", device.c.account_id == account_id)
    query = (
        select(claim)
        .where(
            claim.c.account_id == account_id,
            claim.c.short_id == card.short,
            claim.c.status.in_(("pending", "claiming", "success")),
            claim.c.created > recent,
            claim.c.device_id.is_(None) | claim.c.device_id.not_in(given_up),
        )
        .order_by(claim.c.created.desc())
    )
    rows = connection.execute(query).all()
    return next((row for row in rows if records.closed_reason(row, now_ms) is None and card.fit(row)), None)


def _bind(connection: Connection, claim_id: str, person: str, now_ms: int, **values: Any) -> None:
    records.advance(connection, claim_id, "claiming", expires=now_ms + LIFE_MS, **values)
    audit.record(connection, now_ms, f"person:{person}", "claim_bound", claim_id)


def _expect(
    connection: Connection, account_id: str, card: Codes, name: str | None, location: Any, now_ms: int
) -> str:
    row = records.add(
        connection,
        id=ulid("clm_", now_ms),
        mode="expectation",
        account_id=account_id,
        short_id=card.short,
        pin_mac=card.pin_mac,
        link_mac=card.link_mac,
        status="pending",
        name=name,
        location=location,
        created=now_ms,
        expires=now_ms + LIFE_MS,
    )
    return str(row.id)


def station(request: ClaimRequest, claimant: Claimant) -> dict[str, Any]:
    """What a record keeps of a station: its key, and what it says of itself."""
    hardware = {
        "hardware_id": request.hardware_id,
        "fingerprint": request.hardware_fingerprint,
        "info": request.device_info,
        "network": request.network_info,
        "location": request.location,
        "key_storage": request.key_storage,
    }
    return {
        "keyid": claimant.keyid,
        "public_key": public_pem(claimant.key),
        "hardware": msgspec.to_builtins(hardware),
    }


def count_failure(connection: Connection, claim_id: str, attempts: int, account_id: str, now_ms: int) -> None:
    """One wrong code more; the fifth closes the claim."""
    records.change(connection, claim_id, attempts=attempts)
    audit.record(connection, now_ms, f"person:{account_id}", WRONG_CODE, claim_id, attempts=attempts)
    if attempts >= MAX_ATTEMPTS:
        records.expire(connection, claim_id, TOO_MANY_ATTEMPTS, "REG-002")
