"""What surrounds every request: its id, its line in the log, and one shape for every error."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

from aiohttp import web

from cloud.api.bodies import problem, require_readable
from cloud.errors import StoreError
from cloud.keys import DOORKEEPER, REQUEST_ID, UNIX_MS
from cloud.security import audit
from cloud.security.network import client_address, client_network
from cloud.speaking import language_of
from protocol.clock import from_unix
from protocol.errors import Refusal

log = logging.getLogger("cloud.requests")

current_request: ContextVar[str] = ContextVar("current_request", default="-")
"""For the log: which request a record belongs to."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_API = ("/v1/", "/api/v1/", "/health", "/device-realtime", "/time", "/crl", "/.well-known/")
_PLAIN = {
    404: ("not_found", "There is nothing here for you."),
    405: ("method", "This address does not know that method."),
    413: ("too_large", "The body is too large."),
}


@web.middleware
async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Outermost: gives the request its id and writes one line about it. Queries and bodies stay out."""
    given = request.headers.get("X-Request-Id", "")
    request[REQUEST_ID] = given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(8)
    current_request.set(request[REQUEST_ID])
    audit.caller.set(client_address(request)[:64])
    started, status = time.monotonic(), 499
    try:
        response = await handler(request)
        status = response.status
        return response
    except web.HTTPException as error:
        status = error.status
        raise
    finally:
        resource = request.match_info.route.resource
        shown = resource.canonical if resource else "(unknown)"
        log.info("%s %s %d %.0f ms", request.method, shown, status, (time.monotonic() - started) * 1000)


@web.middleware
async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Before everything else, for pages too: nothing for networks that the operator keeps out."""
    try:
        doorkeeper = request.app[DOORKEEPER]
        await doorkeeper.require(client_address(request), client_network(request), request.path)
    except Refusal as refusal:
        return _problem(request, refusal)
    return await handler(request)


async def mark(request: web.Request, response: web.StreamResponse) -> None:
    """Every response, those of the framework too, says which request it answers."""
    response.headers["X-Request-Id"] = request.get(REQUEST_ID, "-")
    response.headers["Server"] = "meteor-cloud"
    response.headers.setdefault("X-Content-Type-Options", "nosniff")


@web.middleware
async def explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns every error of the interface into problem+json; pages explain theirs themselves."""
    if not request.path.startswith(_API):
        return await handler(request)
    try:
        require_readable(request)
        return await handler(request)
    except Refusal as refusal:
        return _problem(request, refusal)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _plain(request, error)
    except StoreError as error:
        log.error("the store failed: %s", error)
        return _problem(
            request, Refusal("REG-009", "storage", "The cloud cannot store now. Try again later.")
        )
    except Exception:
        log.exception("unexpected error at %s %s", request.method, request.path)
        return _problem(request, Refusal(None, "internal", "Something went wrong on our side.", status=500))


def _plain(request: web.Request, error: web.HTTPException) -> web.Response:
    reason, detail = _PLAIN.get(error.status, ("http", error.reason))
    response = _problem(request, Refusal(None, reason, detail, status=error.status))
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def _problem(request: web.Request, refusal: Refusal) -> web.Response:
    now = from_unix(request.app[UNIX_MS]() / 1000)
    language = language_of(request)
    return problem(refusal, now, request.get(REQUEST_ID, "-"), language.messages.gettext)
