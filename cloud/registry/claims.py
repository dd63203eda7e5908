"""Claims as persons use them: opening, naming a station, watching, cancelling. Stations use `enrolment`.

There is one record from the first word to the finished station. The rules live beside this: `binding`
(codes), `proof` (challenges), `completion` (the station itself).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, select

from cloud.registry import binding, queue, records, views
from cloud.registry.news import ClaimNews
from cloud.registry.preauthorised import BATCH
from cloud.registry.views import ClaimView
from cloud.security import audit
from cloud.security.limits import Limits
from cloud.settings import Settings
from cloud.store.engine import Database
from cloud.store.schema import claim
from cloud.validation import clean_name
from protocol import codes, limits
from protocol.codes import CodeRefused
from protocol.errors import CLAIM_DENIED, CLAIM_EXPIRED, INVALID, Refusal, not_found
from protocol.messages import (
    ClaimStatus,
    ClaimTokenAnswer,
    ClaimTokenRequest,
    InitiateAnswer,
    InitiateRequest,
)

MAX_OPEN_TOKENS = 5
LONGEST_WAIT_S = 25
_KEEP_EXPIRED_MS = 24 * 3600 * 1000


class Claims:
    """The persons' side of all claims."""

    def __init__(
        self,
        database: Database,
        news: ClaimNews,
        buckets: Limits,
        settings: Settings,
        pepper: bytes,
        ca_pin: str,
        unix_ms: Callable[[], int],
    ) -> None:
        self._db, self._news, self._limits = database, news, buckets
        self._settings, self._pepper, self._ca_pin, self._unix_ms = settings, pepper, ca_pin, unix_ms

    async def open_token(self, account_id: str, request: ClaimTokenRequest) -> ClaimTokenAnswer:
        """A token that one station may use once. Raises `Refusal` REG-006."""
        await self._limits.take("claims", account_id, limits.USER_CLAIMS)
        shortest, longest = limits.CLAIM_TOKEN_LIFE_S
        life = min(max(request.expires_in, shortest), longest)
        name = None if request.name is None else clean_name(request.name)
        row, token = await self._new_token(account_id, life, name, request.location)
        make = partial(views.token_answer, self._settings.base, self._ca_pin, row, token, life)
        return await asyncio.to_thread(make, self._unix_ms())  # the picture takes some milliseconds

    async def charge(self, account_id: str) -> None:
        """Takes one try from a person's budget. Raises `Refusal` REG-006."""
        await self._limits.take("codes", account_id, limits.USER_CODE_ATTEMPTS)
        await self._limits.take("claims", account_id, limits.USER_CLAIMS)

    async def initiate(self, account_id: str, request: InitiateRequest) -> InitiateAnswer:
        """Names a station as one's own, opens a token claim, or denies a claim; costs one try of the budget.

        The answer never says whether a station waits under that name. Raises `Refusal` REG-006, REG-007, 404.
        """
        await self.charge(account_id)
        return await self.initiate_charged(account_id, request)

    async def initiate_charged(self, account_id: str, request: InitiateRequest) -> InitiateAnswer:
        """`initiate` for a caller who has charged already."""
        if request.name is not None:
            request = msgspec.structs.replace(request, name=clean_name(request.name))
        if request.action == "deny" or request.claim_id is not None:
            return await self._about_claim(account_id, request)
        if request.short_id is None and request.pin is None and request.link_secret is None:
            row, token = await self._new_token(
                account_id, limits.CLAIM_LIFE_S, request.name, request.location
            )
            return views.initiate_answer(self._settings.base, row, self._unix_ms(), token)
        card = self._card(request)
        location = msgspec.to_builtins(request.location)
        now = self._unix_ms()

        def change(connection: Connection) -> tuple[str, list[str]]:
            found = binding.person_came(connection, account_id, card, request.name, location, now)
            if found[1]:
                queue.put(connection, queue.INITIATED, found[0], account_id, now)
            return found

        claim_id, changed = await self._db.write(change)
        await self._news.publish(changed)
        self._news.put()
        row = await self._db.read(partial(records.get, claim_id=claim_id))
        return views.initiate_answer(self._settings.base, row, self._unix_ms())

    async def _about_claim(self, account_id: str, request: InitiateRequest) -> InitiateAnswer:
        if request.claim_id is None:
            raise Refusal("REG-007", INVALID, "Say which claim is denied.", field="$.claim_id")
        if request.action == "deny":
            await self.cancel(account_id, request.claim_id)
        row = await self._own(account_id, request.claim_id)
        return views.initiate_answer(self._settings.base, row, self._unix_ms())

    def _card(self, request: InitiateRequest) -> binding.Codes:
        short = _parsed("short_id", codes.parse_short_id, request.short_id)
        if (request.pin is None) == (request.link_secret is None):
            raise Refusal("REG-007", INVALID, "Give the PIN or the link's secret.", field="$.pin")
        if request.pin is not None:
            return binding.codes(self._pepper, short, _parsed("pin", codes.parse_pin, request.pin), None)
        secret = _parsed("link_secret", codes.parse_link_secret, request.link_secret)
        return binding.codes(self._pepper, short, None, secret)

    async def _new_token(
        self, account_id: str, life_s: int, name: str | None, location: Any
    ) -> tuple[Row[Any], str]:
        token, now = codes.new_claim_token(), self._unix_ms()
        values = {
            "id": codes.ulid("clm_", now),
            "mode": "token",
            "account_id": account_id,
            "token_hash": codes.secret_hash(token),
            "status": "pending",
            "name": name,
            "location": msgspec.to_builtins(location),
            "created": now,
            "expires": now + life_s * 1000,
        }
        row = await self._db.write(partial(_open_token, account_id=account_id, now_ms=now, values=values))
        if isinstance(row, Refusal):
            raise row
        self._news.put()
        return row, token

    async def cancel(self, account_id: str, claim_id: str) -> None:
        """Ends one's own open claim; a claim that is over already stays as it is. Raises `not_found`."""
        await self._own(account_id, claim_id)
        now = self._unix_ms()

        def change(connection: Connection) -> None:
            records.expire(connection, claim_id, CLAIM_DENIED, "REG-002")
            audit.record(connection, now, f"person:{account_id}", CLAIM_DENIED, claim_id)

        await self._db.write(change)
        await self._news.publish([claim_id])

    async def mine(self, account_id: str, claim_id: str) -> ClaimView:
        """One's own record, to fill a form again. Raises `not_found` for foreign and unknown alike."""
        return views.view(await self._own(account_id, claim_id), self._unix_ms())

    async def open_of(self, account_id: str) -> Sequence[ClaimView]:
        """One's own records that are still open, newest first; a batch would fill the page and stays away."""
        now = self._unix_ms()
        of_a_batch = claim.c.batch_id.startswith(BATCH, autoescape=True)
        mine = (claim.c.account_id == account_id) & (claim.c.batch_id.is_(None) | ~of_a_batch)
        query = records.live(now).where(mine)
        rows = await self._db.read(lambda c: c.execute(query).all())
        return [views.view(row, now) for row in reversed(rows)]

    async def status(self, claim_id: str, viewer: str) -> ClaimStatus:
        """`viewer` is an account id, or the keyid of the claim's device. Raises `not_found`."""
        row = await self._db.read(partial(_found, claim_id=claim_id))
        if row is None or viewer not in (row.account_id, row.keyid):
            raise not_found()
        return views.status(row, self._settings.poll_interval, self._unix_ms())

    async def next_status(self, claim_id: str, viewer: str, wait_s: int) -> ClaimStatus:
        """`status`, after a change or after `wait_s` seconds, whichever comes first. Raises `not_found`."""
        with self._news.watching(claim_id) as changed, contextlib.suppress(TimeoutError):
            first = told = await self.status(claim_id, viewer)
            async with asyncio.timeout(min(wait_s, LONGEST_WAIT_S)):
                while told.status not in ("success", "expired") and _same(first, told):
                    await changed.wait()
                    changed.clear()
                    told = await self.status(claim_id, viewer)
        return await self.status(claim_id, viewer)

    async def _own(self, account_id: str, claim_id: str) -> Row[Any]:
        row = await self._db.read(partial(_found, claim_id=claim_id))
        if row is None or row.account_id != account_id:
            raise not_found()
        return row

    async def sweep(self) -> None:
        """Closes claims whose time ran out, tells their persons, and forgets closed ones after a day."""
        now = self._unix_ms()
        await self._news.publish(await self._db.write(partial(_sweep, now_ms=now)))


def _same(one: ClaimStatus, other: ClaimStatus) -> bool:
    return (one.status, one.progress) == (other.status, other.progress)


def _parsed(field: str, parse: Callable[[str], str], text: str | None) -> str:
    try:
        return parse(text or "")
    except CodeRefused as error:
        raise Refusal("REG-007", INVALID, error.reason, field=f"$.{field}") from None


def _found(connection: Connection, claim_id: str) -> Row[Any] | None:
    return records.find(connection, claim_id)


def _open_token(
    connection: Connection, account_id: str, now_ms: int, values: dict[str, Any]
) -> Row[Any] | Refusal:
    open_ones = records.live(now_ms, "pending").where(
        claim.c.account_id == account_id, claim.c.mode == "token", claim.c.batch_id.is_(None)
    )
    rows = connection.execute(open_ones).all()
    if len(rows) >= MAX_OPEN_TOKENS:
        wait = max(1, (min(row.expires for row in rows) - now_ms) // 1000)
        return Refusal(
            "REG-006", "too_many_open", "Too many open claims; use or cancel one.", retry_after=wait
        )
    audit.record(connection, now_ms, f"person:{account_id}", "claim_opened", values["id"])
    queue.put(connection, queue.INITIATED, values["id"], account_id, now_ms)
    return records.add(connection, **values)


def _sweep(connection: Connection, now_ms: int) -> list[str]:
    ran_out = (
        connection.execute(
            select(claim.c.id).where(claim.c.status.in_(records.OPEN), claim.c.expires <= now_ms)
        )
        .scalars()
        .all()
    )
    for claim_id in ran_out:
        records.expire(connection, claim_id, CLAIM_EXPIRED, "REG-002")
    old = (claim.c.status == "expired") & (claim.c.expires < now_ms - _KEEP_EXPIRED_MS)
    connection.execute(delete(claim).where(old))
    return list(ran_out)
