"""A new key on the machine of a station that has an owner: the question, the answer, the alarm. No HTTP.

The owner decides, and nothing happens before: the running key is not touched until the new one has proved
itself after a yes. Whoever else claims the new key learns nothing of the station, and gets another one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import combinations
from typing import Any, Literal, cast

from sqlalchemy import ColumnElement, Connection, Row, false, func, select, update

from cloud.realtime.bus import Bus
from cloud.registry import binding, fingerprints, records
from cloud.registry.news import ClaimNews
from cloud.registry.ownership import owned
from cloud.security import audit
from cloud.security.limits import Limits
from cloud.store.engine import Database
from cloud.store.schema import claim, device, device_key, fingerprint_component
from protocol.clock import from_unix
from protocol.codes import CodeRefused, parse_pin
from protocol.errors import INVALID, WRONG_CODE, Refusal, not_found
from protocol.limits import CLAIM_LIFE_S, USER_CLAIMS, USER_CODE_ATTEMPTS
from protocol.ownership_messages import Replacement, ReplacementList, ReplaceRequest

ASKED, YES, NO = "asked", "yes", "no"
_MOST_CARDS = 20
"""Of one machine: a forged serial on a thousand stations must not become half a million comparisons."""
_QUIET_MS = 86_400_000
"""An alarm ends a day after it was raised, if only one key talks by then."""


def ask(connection: Connection, row: Row[Any], known: fingerprints.Parts) -> str | None:
    """Puts the question on a claim, if there is one to put: the account to ask."""
    if row.replaces is not None:
        return None
    found = fingerprints.matches(connection, known)
    if not found:
        return None
    records.change(connection, row.id, replaces=found[0].station.id, consent=ASKED)
    return str(found[0].station.account_id)


def held(connection: Connection, row: Row[Any]) -> bool:
    """Whether a claim waits for its person's answer, who owns the station too. A stranger's never waits."""
    if row.replaces is None or row.consent != ASKED:
        return False
    query = select(device.c.id).where(
        device.c.id == row.replaces, device.c.account_id == row.account_id, device.c.status == "active"
    )
    return connection.execute(query).first() is not None


class Replacements:
    """The questions that are open for a person, and their answers."""

    def __init__(
        self,
        database: Database,
        news: ClaimNews,
        bus: Bus,
        buckets: Limits,
        pepper: bytes,
        offline_after: int,
        unix_ms: Callable[[], int],
    ) -> None:
        self._db, self._news, self._bus, self._limits = database, news, bus, buckets
        self._pepper, self._alive_ms, self._unix_ms = pepper, offline_after * 1000, unix_ms

    async def of(self, account_id: str, device_id: str) -> ReplacementList:
        """What asks to take the place of a station. Raises `not_found`."""
        now = self._unix_ms()

        def read(connection: Connection) -> list[Replacement]:
            row = owned(connection, account_id, device_id)
            return [self._told(connection, row, one, now) for one in _open(connection, row, now)]

        found = await self._db.read(read)
        return ReplacementList(replacements=found, server_time=from_unix(now / 1000))

    def _told(self, connection: Connection, row: Row[Any], asked: Row[Any], now_ms: int) -> Replacement:
        there = fingerprints.parts_of(connection, row.id)
        here = fingerprints.parts(self._pepper, asked.hardware)
        return Replacement(
            claim_id=asked.id,
            device_id=row.id,
            device_name=row.name,
            short_id=asked.short_id or "",
            score=fingerprints.score(kind for kind, _ in there & here),
            proved=asked.account_id is not None,
            still_talking=row.last_seen_ms is not None and now_ms - row.last_seen_ms < self._alive_ms,
            expires_at=from_unix(asked.expires / 1000),
            state=cast(Literal["asked", "yes", "no"], asked.consent),
        )

    async def decide(
        self, account_id: str, device_id: str, claim_id: str, wish: ReplaceRequest
    ) -> Replacement:
        """The owner's yes or no. Raises `not_found`, REG-004 for a wrong PIN, REG-006, REG-007."""
        pin = _pin(wish)
        if wish.accept:
            await self._limits.take("codes", account_id, USER_CODE_ATTEMPTS)
            await self._limits.take("claims", account_id, USER_CLAIMS)
        decision = partial(self._decide, account_id, device_id, claim_id, wish.accept, pin)
        done = await self._db.write(decision)
        await self._news.publish([claim_id])
        if isinstance(done, Refusal):
            raise done
        return done

    def _decide(
        self,
        account_id: str,
        device_id: str,
        claim_id: str,
        accept: bool,
        pin: str | None,
        connection: Connection,
    ) -> Replacement | Refusal:
        now = self._unix_ms()
        row = owned(connection, account_id, device_id)
        asked = next((one for one in _open(connection, row, now) if one.id == claim_id), None)
        if asked is None:
            return not_found()
        if accept and asked.account_id is None and (refusal := self._prove(connection, row, asked, pin, now)):
            return refusal
        records.change(connection, claim_id, consent=YES if accept else NO)
        action = "storage_agreed" if accept else "storage_declined"
        audit.record(connection, now, f"person:{account_id}", action, device_id, claim=claim_id)
        return self._told(connection, row, records.get(connection, claim_id), now)

    def _prove(
        self, connection: Connection, row: Row[Any], asked: Row[Any], pin: str | None, now_ms: int
    ) -> Refusal | None:
        """The PIN on the new card: without it anybody who knows a serial could get a careless yes."""
        if pin is None:
            return Refusal("REG-007", INVALID, "Type the PIN that the station shows.", field="$.pin")
        person = str(row.account_id)
        if not binding.codes(self._pepper, asked.short_id, pin, None).fit(asked):
            binding.count_failure(connection, asked.id, asked.attempts + 1, person, now_ms)
            return Refusal(
                "REG-004", WRONG_CODE, "This is not the PIN that the station shows.", field="$.pin"
            )
        expires = now_ms + CLAIM_LIFE_S * 1000
        records.advance(connection, asked.id, "claiming", account_id=person, name=row.name, expires=expires)
        return None

    async def watch(self) -> None:
        """A duty: raises the alarm for every machine on which two keys talk, and ends old ones."""
        now = self._unix_ms()
        doubled = await self._db.read(lambda c: _clones(c, now - self._alive_ms))
        fresh = [row for row in doubled if row.clone_ms is None]
        still = [row.id for row in doubled if row.clone_ms is not None]
        over = (device.c.clone_ms < now - _QUIET_MS) & device.c.id.not_in(still)
        ended = await self._db.read(lambda c: c.execute(select(device.c.id).where(over)).first() is not None)
        if fresh or ended:
            await self._db.write(lambda c: _alarm(c, fresh, over, now))
        for row in fresh:
            self._bus.publish(row.account_id, "clone-alarm", {"deviceId": row.id})

    async def old_key_used(self, keyid: str) -> None:
        """A key that ended was used. When its station goes on with another one, there are two cards."""
        now = self._unix_ms()
        found = await self._db.read(lambda c: _goes_on_without(c, keyid))
        if found is not None:
            await self._db.write(lambda c: _alarm(c, [found], false(), now))
            self._bus.publish(found.account_id, "clone-alarm", {"deviceId": found.id})

    async def adopt(self) -> None:
        """A duty: what an older version stored in clear of stations' hardware becomes hashes."""
        query = select(device.c.id).where(device.c.fingerprint.is_not(None)).limit(1)
        if await self._db.read(lambda c: c.execute(query).first()) is not None:
            await self._db.write(lambda c: fingerprints.adopt(c, self._pepper))


def _pin(wish: ReplaceRequest) -> str | None:
    if wish.pin is None or not wish.accept:
        return None
    try:
        return parse_pin(wish.pin)
    except CodeRefused as error:
        raise Refusal("REG-007", INVALID, error.reason, field="$.pin") from None


def _open(connection: Connection, row: Row[Any], now_ms: int) -> list[Row[Any]]:
    """Claims that ask for a station's place and are nobody's yet, or its owner's."""
    mine = claim.c.account_id.is_(None) | (claim.c.account_id == row.account_id)
    query = records.live(now_ms, "scanning", "claiming").where(
        claim.c.replaces == row.id, claim.c.consent == ASKED, mine
    )
    return list(connection.execute(query).all())


def _clones(connection: Connection, since_ms: int) -> list[Row[Any]]:
    """Stations heard of since then whose machine another station that was heard of runs on too."""
    columns = fingerprint_component.c
    heard = (device.c.status == "active") & (device.c.last_seen_ms > since_ms)
    telling = columns.kind.in_(("cpu", "tpm"))
    doubled = (
        select(columns.mac)
        .join_from(fingerprint_component, device)
        .where(heard, telling)
        .group_by(columns.kind, columns.mac)
        .having(func.count() > 1)
    )
    query = (
        select(columns.mac, columns.device_id)
        .join_from(fingerprint_component, device)
        .where(heard, telling, columns.mac.in_(doubled))
    )
    machines: dict[str, list[str]] = {}
    for row in connection.execute(query):
        machines.setdefault(row.mac, []).append(row.device_id)
    pairs = [pair for ids in machines.values() for pair in combinations(sorted(ids)[:_MOST_CARDS], 2)]
    same = {one for pair in pairs if _same(connection, *pair) for one in pair}
    return list(connection.execute(select(device).where(device.c.id.in_(same))).all()) if same else []


def _same(connection: Connection, one: str, other: str) -> bool:
    shared = fingerprints.parts_of(connection, one) & fingerprints.parts_of(connection, other)
    return fingerprints.score(kind for kind, _ in shared) >= fingerprints.SAME_MACHINE


def _goes_on_without(connection: Connection, keyid: str) -> Row[Any] | None:
    """The station that this key was revoked from, unless its owner was told already."""
    query = (
        select(device)
        .join_from(device_key, device)
        .where(
            device_key.c.keyid == keyid,
            device_key.c.status == "revoked",
            device.c.status == "active",
            device.c.clone_ms.is_(None),
        )
    )
    return connection.execute(query).first()


def _alarm(connection: Connection, rows: list[Row[Any]], over: ColumnElement[bool], now_ms: int) -> None:
    connection.execute(update(device).where(over).values(clone_ms=None))
    for row in rows:
        connection.execute(update(device).where(device.c.id == row.id).values(clone_ms=now_ms))
        audit.record(connection, now_ms, "system", "clone_alarm", row.id)
