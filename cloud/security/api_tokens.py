"""API tokens: how a person's programs prove for whom they work, and what they may do. No pages, no HTTP.

A token is 256 random bits, shown once; the store has its hash. It has scopes, may end by itself, can be
revoked at any time, and opens nothing that is not in the table of routes with a scope: no account, no
sharing, no other tokens.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from aiohttp import web
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from cloud.security import audit
from cloud.security.limits import Limits
from cloud.security.scopes import Scope
from cloud.security.sessions import Person
from cloud.store.engine import Database
from cloud.store.schema import account, api_token
from cloud.validation import clean_name
from protocol.codes import secret_hash, ulid
from protocol.errors import INVALID, Refusal, not_found
from protocol.limits import Rate
from protocol.people_messages import TokenMade, TokenView

PREFIX = "mpt_"
MOST = 20
WRONG_TOKENS = Rate(60, 300, 60)
_TOUCH_MS = 60_000
_DAY_MS = 86_400_000


class ApiTokens:
    """The tokens of all persons."""

    def __init__(self, database: Database, limits: Limits, unix_ms: Callable[[], int]) -> None:
        self._db, self._limits, self._unix_ms = database, limits, unix_ms

    async def make(self, person: Person, name: str, scopes: Collection[Scope], days: int | None) -> TokenMade:
        """A new token, in clear this once. Raises `Refusal` REG-007."""
        if not scopes:
            raise Refusal("REG-007", INVALID, "Choose what the token may do.", field="$.scopes")
        token, now = PREFIX + secrets.token_urlsafe(32), self._unix_ms()
        values = {
            "id": ulid("tok_", now),
            "account_id": person.account_id,
            "token_hash": secret_hash(token),
            "name": clean_name(name),
            "scopes": " ".join(sorted(scopes)),
            "created": now,
            "expires": now + days * _DAY_MS if days else None,
        }
        row = await self._db.write(partial(_insert, values))
        return TokenMade(token=token, details=row)

    async def list(self, person: Person) -> list[TokenView]:
        """The person's tokens, newest first, without their secrets."""
        query = select(api_token).where(api_token.c.account_id == person.account_id)
        rows = await self._db.read(lambda c: c.execute(query.order_by(api_token.c.id.desc())).all())
        return [_view(row) for row in rows]

    async def revoke(self, person: Person, token_id: str) -> None:
        """Ends a token at once. Raises `not_found`."""

        def change(connection: Connection) -> None:
            mine = (api_token.c.id == token_id) & (api_token.c.account_id == person.account_id)
            if connection.execute(delete(api_token).where(mine)).rowcount != 1:
                raise not_found()
            actor = f"person:{person.account_id}"
            audit.record(
                connection, self._unix_ms(), actor, "token_revoked", person.account_id, token=token_id
            )

        await self._db.write(change)

    async def person(self, token: str, scope: Scope | None, address: str) -> Person:
        """For whom a token speaks. Raises `Refusal` 401 for one that is unknown, over or revoked, REG-006 to
        who tries many of those, and 403 when its scopes do not reach."""
        now = self._unix_ms()
        row = await self._db.read(partial(_find, secret_hash(token), now)) if token else None
        if row is None:
            await self._limits.take("token-guess", address, WRONG_TOKENS)
            raise Refusal(None, "token", "This token is not valid.", status=401)
        if scope is None or scope not in row.scopes.split():
            needed = f"A token with the scope {scope} may do this." if scope else "Sign in to do this."
            raise Refusal(None, "scope", needed, status=403)
        if row.last_used is None or now - row.last_used >= _TOUCH_MS:
            used = {"last_used": now, "last_address": address[:64]}
            change = update(api_token).where(api_token.c.id == row.id).values(**used)
            await self._db.write(lambda c: c.execute(change).close())
        return Person(row.account_id, row.email, row.account_name, "", "", row.administrator)


API_TOKENS = web.AppKey("api_tokens", ApiTokens)


def _insert(values: dict[str, Any], connection: Connection) -> TokenView:
    owner = values["account_id"]
    counted = select(func.count()).select_from(api_token).where(api_token.c.account_id == owner)
    if connection.execute(counted).scalar_one() >= MOST:
        raise Refusal("REG-007", "too_many", f"You have {MOST} tokens. Revoke one first.", field="$.name")
    connection.execute(insert(api_token).values(**values))
    about = {"token": values["id"], "scopes": values["scopes"]}
    audit.record(connection, values["created"], f"person:{owner}", "token_made", owner, **about)
    return _view(connection.execute(select(api_token).where(api_token.c.id == values["id"])).one())


def _find(token_hash: str, now_ms: int, connection: Connection) -> Row[Any] | None:
    query = (
        select(api_token, account.c.email, account.c.name.label("account_name"), account.c.administrator)
        .join_from(api_token, account)
        .where(api_token.c.token_hash == token_hash, account.c.suspended.is_(None))
    )
    row = connection.execute(query).first()
    return row if row is not None and (row.expires is None or row.expires > now_ms) else None


def _view(row: Row[Any]) -> TokenView:
    return TokenView(
        id=row.id,
        name=row.name,
        scopes=row.scopes.split(),
        created_ms=row.created,
        expires_ms=row.expires,
        last_used_ms=row.last_used,
        last_address=row.last_address,
    )
