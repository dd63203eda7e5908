"""Claims as stations use them: asking, waiting for a person, proving the key. Persons use `claims`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from cloud.registry import binding, fingerprints, preauthorised, proof, queue, records, replacement
from cloud.registry.completion import Completion, owner_of
from cloud.registry.news import ClaimNews
from cloud.security.device_auth import Claimant
from cloud.security.limits import Limits
from cloud.settings import Settings
from cloud.store.engine import Database
from cloud.store.schema import claim
from protocol import codes, limits
from protocol.clock import from_unix
from protocol.errors import CLAIM_EXPIRED, INVALID, Refusal, not_found
from protocol.messages import ClaimPending, ClaimRequest, ConfirmRequest, Pending, ValidateAnswer


@dataclass(frozen=True)
class Outcome:
    """An answer to a station and its HTTP status."""

    status: int
    answer: msgspec.Struct


class Enrolment:
    """The stations' side of all claims."""

    def __init__(
        self,
        database: Database,
        news: ClaimNews,
        buckets: Limits,
        completion: Completion,
        settings: Settings,
        pepper: bytes,
        unix_ms: Callable[[], int],
    ) -> None:
        self._db, self._news, self._limits, self._completion = database, news, buckets, completion
        self._settings, self._pepper, self._unix_ms = settings, pepper, unix_ms

    async def claim(self, request: ClaimRequest, claimant: Claimant, address: str) -> Outcome:
        """A station that proved its key wants to become somebody's. Raises `Refusal`."""
        if request.claim_token is not None:
            return await self._with_token(request, request.claim_token, claimant)
        known = await self._known_station(claimant) or await self._expected(request, claimant)
        if known is not None:
            return known
        if request.registration_type != "device_code":
            raise Refusal(
                "REG-007", INVALID, "Give claim_token, or registration_type.", field="$.registration_type"
            )
        if request.pin is None:
            raise Refusal("REG-007", INVALID, "A device code needs a PIN.", field="$.pin")
        return await self._with_card(request, request.pin, claimant, address)

    async def _known_station(self, claimant: Claimant) -> Outcome | None:
        """A station that lost its answer, not its proof: it gets the answer again at any time."""
        owner = await self._db.read(partial(owner_of, keyid=claimant.keyid))
        if owner is None:
            return None
        if not owner.active:
            raise Refusal(None, "not_active", "This station may not be claimed now.", status=403)
        now, device_id = self._unix_ms(), str(owner.device_id)
        answer = await self._db.write(lambda c: self._completion.answer(c, device_id, claimant, now))
        return Outcome(200, answer)

    async def _expected(self, request: ClaimRequest, claimant: Claimant) -> Outcome | None:
        """A key that somebody waits for by its name needs no code (mode C)."""
        now = self._unix_ms()
        if await self._db.read(lambda c: preauthorised.waiting(c, claimant.keyid, now)) is None:
            return None

        def change(connection: Connection) -> tuple[Outcome | Refusal | None, str]:
            row = preauthorised.waiting(connection, claimant.keyid, now)
            if row is None:
                return None, ""
            preauthorised.make_room(connection, claimant.keyid)
            seen = binding.station(request, claimant)
            records.advance(connection, row.id, "scanning", hardware=seen["hardware"])
            done = self._completion.complete(connection, records.get(connection, row.id), claimant, now)
            return (done if isinstance(done, Refusal) else Outcome(201, done)), row.id

        outcome, claim_id = await self._db.write(change)
        await self._news.publish([claim_id] if claim_id else [])
        return None if outcome is None else _or_raise(outcome)

    async def _with_token(self, request: ClaimRequest, token: str, claimant: Claimant) -> Outcome:
        now, token_hash = self._unix_ms(), codes.secret_hash(token)

        def change(connection: Connection) -> tuple[Outcome | Refusal, str]:
            row = connection.execute(select(claim).where(claim.c.token_hash == token_hash)).first()
            if row is None:
                return Refusal("REG-004", "unknown_token", "This claim code is not valid."), ""
            return self._use_token(connection, row, request, claimant, now), row.id

        outcome, claim_id = await self._db.write(change)
        await self._news.publish([claim_id] if claim_id else [])
        return _or_raise(outcome)

    def _use_token(
        self, connection: Connection, row: Row[Any], request: ClaimRequest, claimant: Claimant, now: int
    ) -> Outcome | Refusal:
        if row.status == "success":
            return self._again(connection, row, claimant, now)
        if reason := records.closed_reason(row, now):
            return records.over(reason)
        if row.keyid not in (None, claimant.keyid):
            return Refusal("REG-003", "already_registered", "This claim code was used already.")
        if row.keyid is None:
            seen = binding.station(request, claimant)
            records.advance(connection, row.id, "scanning", hardware=seen["hardware"])
            if self._must_ask(connection, row.id, claimant):
                return self._hold(connection, row.id, seen, now)
        elif replacement.held(connection, row):
            return Outcome(202, self._pending(row, now))
        done = self._completion.complete(connection, records.get(connection, row.id), claimant, now)
        return done if isinstance(done, Refusal) else Outcome(201, done)

    def _must_ask(self, connection: Connection, claim_id: str, claimant: Claimant) -> bool:
        """Whether this is another card of a station that the token's person has already."""
        if owner_of(connection, claimant.keyid) is not None:
            return False
        row = records.get(connection, claim_id)
        replacement.ask(connection, row, fingerprints.parts(self._pepper, row.hardware))
        return replacement.held(connection, records.get(connection, claim_id))

    def _hold(self, connection: Connection, claim_id: str, seen: dict[str, Any], now: int) -> Outcome:
        """The token is used up by this key; its person says whether the station is a new one."""
        preauthorised.make_room(connection, seen["keyid"])
        expires = now + limits.CLAIM_LIFE_S * 1000
        short = codes.short_id(seen["keyid"])
        records.advance(connection, claim_id, "claiming", **seen, short_id=short, expires=expires)
        return Outcome(202, self._pending(records.get(connection, claim_id), now))

    def _again(
        self, connection: Connection, row: Row[Any], claimant: Claimant, now: int
    ) -> Outcome | Refusal:
        """A claim that succeeded is asked for again: the same answer, for a while, to the same key only."""
        if row.keyid != claimant.keyid:
            return Refusal("REG-003", "already_registered", "This claim code was used already.")
        owner = owner_of(connection, claimant.keyid)
        if owner is None or owner.device_id != row.device_id:  # released in between
            return records.over(CLAIM_EXPIRED)
        if now - row.completed > limits.REPEAT_WINDOW_S * 1000:
            return records.over(CLAIM_EXPIRED)
        return Outcome(200, self._completion.answer(connection, row.device_id, claimant, now))

    async def _with_card(self, request: ClaimRequest, pin: str, claimant: Claimant, address: str) -> Outcome:
        now = self._unix_ms()
        if await self._db.read(lambda c: binding.own_live(c, claimant.keyid, now)) is None:
            await self._limits.take("card", claimant.keyid, limits.DEVICE_CODE_STARTS)
            await self._limits.take("card-address", address, limits.ADDRESS_CODE_STARTS)
        short = codes.short_id(claimant.keyid)
        card = binding.codes(self._pepper, short, pin, request.link_secret)
        found, changed, asked = await self._db.write(lambda c: self._came(c, request, claimant, card, now))
        await self._news.publish(changed)
        self._news.put()
        if asked is not None:
            self._news.ask(asked)
        if isinstance(found, Refusal):
            raise found
        return Outcome(202, self._pending(found, now))

    def _came(
        self,
        connection: Connection,
        request: ClaimRequest,
        claimant: Claimant,
        card: binding.Codes,
        now: int,
    ) -> tuple[Row[Any] | Refusal, list[str], str | None]:
        """Beside what `binding` finds, the account that is asked whether this is a new card of theirs."""
        found, changed = binding.station_came(connection, request, claimant, card, now)
        if isinstance(found, Refusal):
            return found, changed, None
        if found.created == now or changed:
            queue.put(connection, queue.INITIATED, found.id, found.account_id, now)
        asked = replacement.ask(connection, found, fingerprints.parts(self._pepper, found.hardware))
        return found, changed, asked

    def _pending(self, row: Row[Any], now_ms: int) -> ClaimPending:
        return ClaimPending(
            claim_id=row.id,
            status=row.status,
            expires_in=max(0, (row.expires - now_ms) // 1000),
            interval=self._settings.poll_interval,
            verification_uri=f"{self._settings.base}/claim",
            server_time=from_unix(now_ms / 1000),
        )

    async def validate(self, claim_id: str, claimant: Claimant) -> Outcome:
        """Has a person come? A challenge if so, else "not yet". Raises `Refusal` when the claim is over."""
        return _or_raise(await self._db.write(partial(self._validate, claim_id, claimant, self._unix_ms())))

    def _validate(
        self, claim_id: str, claimant: Claimant, now: int, connection: Connection
    ) -> Outcome | Refusal:
        row = records.find(connection, claim_id)
        if row is None or row.keyid != claimant.keyid:
            return not_found()
        if reason := records.closed_reason(row, now):
            return records.over(reason)
        if row.status == "scanning" or replacement.held(connection, row):
            if refusal := proof.too_early(row, self._settings.poll_interval, now):
                return refusal
            records.change(connection, claim_id, polled=now)
            text, interval = from_unix(now / 1000), self._settings.poll_interval
            return Outcome(202, Pending(status="authorization_pending", interval=interval, server_time=text))
        made = proof.new_challenge(connection, claim_id, now)
        if isinstance(made, Refusal):
            return made
        answer = ValidateAnswer(claim_id=claim_id, challenge=made, server_time=from_unix(now / 1000))
        return Outcome(200, answer)

    async def confirm(self, request: ConfirmRequest, claimant: Claimant) -> Outcome:
        """The challenge comes back signed: the station exists from here on. Raises `Refusal`."""
        now = self._unix_ms()
        outcome = await self._db.write(lambda c: self._confirm(c, request, claimant, now))
        await self._news.publish([request.claim_id])
        return _or_raise(outcome)

    def _confirm(
        self, connection: Connection, request: ConfirmRequest, claimant: Claimant, now: int
    ) -> Outcome | Refusal:
        row = records.find(connection, request.claim_id)
        if row is None or row.keyid != claimant.keyid:
            return not_found()
        if row.status == "success":
            return self._again(connection, row, claimant, now)
        if reason := records.closed_reason(row, now):
            return records.over(reason)
        if refusal := proof.answered(connection, row, request.challenge_id, request.nonce, now):
            return refusal
        done = self._completion.complete(connection, row, claimant, now)
        return done if isinstance(done, Refusal) else Outcome(201, done)


def _or_raise(outcome: Outcome | Refusal) -> Outcome:
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome
