"""Is the server alive, is it ready, and what does it publish: health, document, keys, whom to warn."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Literal

import msgspec
from aiohttp import web
from sqlalchemy import Connection, text

from cloud.api.bodies import answer
from cloud.api.routing import Guard, Route
from cloud.errors import StoreError
from cloud.keys import DATABASE, MEDIA_FILES, OPENAPI, SETTINGS, TOKENS, UNIX_MS
from protocol.clock import from_unix
from protocol.errors import not_found
from protocol.messages import Answer

log = logging.getLogger(__name__)


class Check(Answer):
    """One part that must work before the server can."""

    status: Literal["ok", "failed"]
    detail: str = ""


class Health(Answer):
    """Answered at all: alive. `status` is ok with 200, failed with 503."""

    status: Literal["ok", "failed"]
    checks: dict[str, Check]
    server_time: str


async def health(request: web.Request) -> web.Response:
    """Liveness by answering, readiness by trying database and disk."""
    checks = {"database": await _database(request), "disk": await _disk(request)}
    failed = any(check.status == "failed" for check in checks.values())
    message = Health(
        status="failed" if failed else "ok",
        checks=checks,
        server_time=from_unix(request.app[UNIX_MS]() / 1000),
    )
    return answer(message, 503 if failed else 200)


async def _database(request: web.Request) -> Check:
    try:
        await request.app[DATABASE].write(_touch)
    except StoreError as error:
        log.warning("not ready: %s", error)  # the sentence may name hosts, so that it stays in the log
        return Check(status="failed", detail="The database does not answer.")
    return Check(status="ok")


def _touch(connection: Connection) -> None:
    connection.execute(text("SELECT 1"))


async def _disk(request: web.Request) -> Check:
    reason = await asyncio.to_thread(request.app[MEDIA_FILES].ready)
    return Check(status="failed", detail=reason) if reason else Check(status="ok")


class JwkSet(Answer):
    """Public keys (RFC 7517)."""

    keys: list[dict[str, Any]]


async def jwks(request: web.Request) -> web.Response:
    """The keys that sign device tokens."""
    return answer(msgspec.convert(request.app[TOKENS].jwks(), JwkSet))


async def openapi(request: web.Request) -> web.Response:
    """The description of this interface."""
    return web.Response(body=request.app[OPENAPI], content_type="application/json")


async def security_txt(request: web.Request) -> web.Response:
    """Where to report a weakness of this server (RFC 9116); 404 when its operator named nobody."""
    settings = request.app[SETTINGS]
    if not settings.security_contact:
        raise not_found()
    lines = (
        f"Contact: {settings.security_contact}",
        f"Expires: {from_unix(request.app[UNIX_MS]() / 1000 + _SAID_FOR_S)}",
        f"Canonical: {settings.base}{_SECURITY_TXT}",
    )
    return web.Response(text="\n".join((*lines, "")), content_type="text/plain", charset="utf-8")


_SECURITY_TXT = "/.well-known/security.txt"
_SAID_FOR_S = 30 * 86_400
"""RFC 9116 wants an end; the text is made anew with every request."""

ROUTES = (
    Route(
        "GET",
        "/health",
        health,
        Guard.PUBLIC,
        "Is the server alive and ready",
        answers={200: Health, 503: Health},
    ),
    Route("GET", "/v1/jwks", jwks, Guard.PUBLIC, "Keys that sign device tokens", answers={200: JwkSet}),
    Route(
        "GET", _SECURITY_TXT, security_txt, Guard.PUBLIC, "Whom to tell of a weakness", files=["text/plain"]
    ),
    Route(
        "GET",
        "/v1/openapi.json",
        openapi,
        Guard.PUBLIC,
        "This document",
        files=["application/json"],
    ),
)
