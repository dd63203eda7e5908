"""Challenges: a nonce that a station signs once to prove its key is alive. Runs inside transactions."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from cloud.registry import records
from cloud.security import audit
from cloud.store.schema import challenge
from protocol.codes import base64url, same_secret, secret_hash, ulid
from protocol.errors import CHALLENGE_EXPIRED, TOO_MANY_ATTEMPTS, Refusal
from protocol.limits import CHALLENGE_LIFE_S, MAX_ATTEMPTS
from protocol.messages import Challenge

_MOST_OPEN = 20
_EARLY = 0.8
"""A poll may come this part of the interval after the last: networks and clocks are not exact."""


def too_early(row: Row[Any], interval_s: int, now_ms: int) -> Refusal | None:
    """The answer to a station that asks faster than it was told."""
    if row.polled is not None and 0 <= now_ms - row.polled < interval_s * 1000 * _EARLY:
        return Refusal("REG-006", "slow_down", "Ask less often.", retry_after=interval_s)
    return None


def new_challenge(connection: Connection, claim_id: str, now_ms: int) -> Challenge | Refusal:
    """A fresh nonce for two minutes. Earlier ones stay valid, because an answer may have been lost."""
    open_ones = select(func.count()).where(challenge.c.claim_id == claim_id, challenge.c.expires > now_ms)
    if connection.execute(open_ones).scalar_one() >= _MOST_OPEN:
        return Refusal("REG-006", "slow_down", "Ask less often.", retry_after=CHALLENGE_LIFE_S)
    made = Challenge(
        id=ulid("chl_", now_ms), nonce=base64url(secrets.token_bytes(32)), expires_in=CHALLENGE_LIFE_S
    )
    connection.execute(
        insert(challenge).values(
            id=made.id,
            claim_id=claim_id,
            nonce_hash=secret_hash(made.nonce),
            expires=now_ms + CHALLENGE_LIFE_S * 1000,
            used=False,
        )
    )
    return made


def answered(
    connection: Connection, row: Row[Any], challenge_id: str, nonce: str, now_ms: int
) -> Refusal | None:
    """Uses a challenge up. A wrong answer counts against the claim; the fifth closes it."""
    found = connection.execute(
        select(challenge).where(challenge.c.id == challenge_id, challenge.c.claim_id == row.id)
    ).first()
    if (
        found
        and not found.used
        and now_ms < found.expires
        and same_secret(found.nonce_hash, secret_hash(nonce))
    ):
        connection.execute(update(challenge).where(challenge.c.id == challenge_id).values(used=True))
        return None
    attempts = row.attempts + 1
    records.change(connection, row.id, attempts=attempts)
    audit.record(connection, now_ms, f"device:{row.keyid}", "wrong_challenge", row.id, attempts=attempts)
    if attempts >= MAX_ATTEMPTS:
        records.expire(connection, row.id, TOO_MANY_ATTEMPTS, "REG-002")
    return Refusal(
        "REG-004", CHALLENGE_EXPIRED, "This challenge is unknown, used or too old. Ask for another."
    )
