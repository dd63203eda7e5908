"""Sessions of people: the cookie, its row, and the checks on requests that change something.

Invariants: the token stands in the cookie only, the store has its hash; a request that changes something
must come from our own pages (`Origin`, where the browser sends one) and carry the session's CSRF token.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from aiohttp import web
from sqlalchemy import Connection

from cloud.keys import SETTINGS
from cloud.realtime.bus import Bus
from cloud.security import audit
from cloud.store import people
from cloud.store.engine import Database
from cloud.store.people import AccountRow, SessionRow
from protocol.codes import same_secret, secret_hash
from protocol.errors import Refusal

IDLE_MS = 14 * 86_400_000
"""A session ends after two weeks without use,"""
ABSOLUTE_MS = 90 * 86_400_000
"""and after 90 days in any case."""
TOUCH_MS = 300_000
"""How often the last use is written down."""

SESSION_ENDED = "session-ended"
"""On the bus, for the gateway only: some session of the account is over. Never sent to a page."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Person:
    """Who is signed in. `session` is the hash of the token, a name for the session that opens nothing."""

    account_id: str
    email: str
    name: str
    csrf: str
    session: str
    administrator: bool = False
    language: str | None = None


class Sessions:
    """Opens, finds and ends sessions."""

    def __init__(self, database: Database, bus: Bus, unix_ms: Callable[[], int]) -> None:
        self._database = database
        self._bus = bus
        self._unix_ms = unix_ms

    async def open(self, account: AccountRow, user_agent: str, replacing: str | None = None) -> str:
        """A new session; the token for the cookie. The token that the browser had before ends."""
        token, now = secrets.token_urlsafe(32), self._unix_ms()
        row = SessionRow(
            token_hash=secret_hash(token),
            account_id=account.id,
            csrf=secrets.token_urlsafe(24),
            created=now,
            last_seen=now,
            expires=now + IDLE_MS,
            user_agent=user_agent[:200],
            email=account.email,
            name=account.name,
        )
        await self._database.write(lambda connection: people.insert_session(connection, row))
        if replacing:
            await self.end(account.id, secret_hash(replacing))
        return token

    async def find(self, token: str) -> Person | None:
        """Who a cookie's token belongs to."""
        now, hashed = self._unix_ms(), secret_hash(token)
        row = await self._database.read(lambda connection: people.session_by_hash(connection, hashed, now))
        if row is None or now > row.created + ABSOLUTE_MS:
            return None
        if now - row.last_seen > TOUCH_MS:
            until = min(now + IDLE_MS, row.created + ABSOLUTE_MS)
            await self._database.write(
                lambda connection: people.touch_session(connection, hashed, now, until)
            )
        return Person(row.account_id, row.email, row.name, row.csrf, hashed, row.administrator, row.language)

    async def alive(self, session: str) -> bool:
        """Whether a session that was found earlier still holds; looking does not prolong it."""
        now = self._unix_ms()
        row = await self._database.read(lambda connection: people.session_by_hash(connection, session, now))
        return row is not None and now <= row.created + ABSOLUTE_MS

    async def end(self, account_id: str, session: str) -> None:
        """Ends one session; its open pages are told."""

        def change(connection: Connection) -> None:
            people.delete_session(connection, session)
            audit.record(connection, self._unix_ms(), f"person:{account_id}", "signed_out", account_id)

        await self._database.write(change)
        self._bus.publish(account_id, SESSION_ENDED, {})

    async def end_others(self, person: Person) -> int:
        """Ends every session of the person but this one; how many there were."""
        ended = await self._database.write(
            lambda connection: people.delete_other_sessions(connection, person.account_id, person.session)
        )
        self._bus.publish(person.account_id, SESSION_ENDED, {})
        return len(ended)

    async def sweep(self) -> int:
        """Deletes sessions that are over; how many."""
        now = self._unix_ms()
        return await self._database.write(lambda connection: people.delete_expired_sessions(connection, now))


SESSIONS = web.AppKey("sessions", Sessions)
_PERSON: Any = getattr(web, "RequestKey", web.AppKey)("person", object)
"""Newer aiohttp has a kind of its own for what belongs to one request."""


def cookie_name(request: web.Request) -> str:
    """With https the name itself forbids that a neighbour host sets the cookie (RFC 6265bis, __Host-)."""
    return "__Host-session" if _https(request) else "session"


def set_cookie(request: web.Request, response: web.StreamResponse, token: str) -> None:
    """Hands the token to the browser, out of reach of scripts and of other sites' forms."""
    response.set_cookie(
        cookie_name(request),
        token,
        max_age=IDLE_MS // 1000,
        path="/",
        secure=_https(request),
        httponly=True,
        samesite="Lax",
    )


def clear_cookie(request: web.Request, response: web.StreamResponse) -> None:
    """Takes the cookie back."""
    response.del_cookie(cookie_name(request), path="/", secure=_https(request), httponly=True, samesite="Lax")


def _https(request: web.Request) -> bool:
    return request.app[SETTINGS].base.startswith("https:")


async def find_person(request: web.Request) -> Person | None:
    """Who is signed in, looked up once per request; None for nobody."""
    if _PERSON not in request:
        token = request.cookies.get(cookie_name(request))
        request[_PERSON] = await request.app[SESSIONS].find(token) if token else None
    return known_person(request)


def known_person(request: web.Request) -> Person | None:
    """What `find_person` found, for code that must not wait."""
    person = request.get(_PERSON)
    return person if isinstance(person, Person) else None


async def require_person(request: web.Request) -> Person:
    """Who is signed in, after all checks.

    Raises `Refusal` 401 on the API and a redirect to the sign-in page elsewhere when nobody is, and `Refusal`
    403 when a request that changes something does not come from our own pages.
    """
    person = await find_person(request)
    if person is None:
        if request.path.startswith("/v1/"):
            raise Refusal(None, "sign_in", "Sign in first.", status=401)
        raise web.HTTPSeeOther(sign_in_address(request))
    if request.method not in _SAFE:
        require_same_origin(request)
        if not same_secret(await _sent_csrf(request), person.csrf):
            raise _foreign("csrf")
    return person


def sign_in_address(request: web.Request) -> str:
    """The sign-in page that leads back here; a form that was sent cannot be sent again by itself."""
    back = request.path_qs if request.method in _SAFE else "/"
    return "/sign-in" if back == "/" else f"/sign-in?next={quote(back, safe='/')}"


def require_same_origin(request: web.Request) -> None:
    """Raises `Refusal` 403 for a request that another site's page made."""
    origin = request.headers.get("Origin")
    if origin is None:
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise _foreign("fetch_site")
    elif not is_our_origin(request, origin):
        raise _foreign("origin")


def is_our_origin(request: web.Request, origin: str) -> bool:
    """Whether an `Origin` is that of this server: the address it is told under, or the one that was asked."""
    if origin == request.app[SETTINGS].base:
        return True
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc == request.host and not _https(request)


async def _sent_csrf(request: web.Request) -> str:
    header = request.headers.get("X-CSRF-Token")
    if header is not None:
        return header
    return (await read_form(request)).get("csrf", "")


async def read_form(request: web.Request) -> dict[str, str]:
    """The fields of a posted form, the first value of each; empty for any other kind of body.

    Raises HTTPBadRequest for bytes that are no text, and for a NUL character, which PostgreSQL cannot store.
    """
    if request.content_type != "application/x-www-form-urlencoded":
        return {}
    try:
        sent = await request.post()
    except (ValueError, LookupError):
        raise web.HTTPBadRequest from None
    if any(isinstance(value, str) and "\0" in value for value in sent.values()):
        raise web.HTTPBadRequest
    return {name: value for name, value in reversed([*sent.items()]) if isinstance(value, str)}


def _foreign(reason: str) -> Refusal:
    return Refusal(None, reason, "This request did not come from a page of this cloud.", status=403)
