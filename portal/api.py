"""The status for programs and for the live script: JSON, an event stream and the health check."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from aiohttp import web

from language.languages import Language
from portal import context
from portal.present import facts, home, revision, shown
from portal.view import Snapshot

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
GLANCE = 1.0  # seconds between looks whether a listener is still there


async def status(request: web.Request) -> web.StreamResponse:
    """`GET /api/status`: the same truth as the pages."""
    ctx = context.of(request)
    told = payload(ctx, ctx.station.snapshot(), context.language(request))
    response = web.Response(text=_json(told), content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    response.enable_compression()
    return response


async def metrics(request: web.Request) -> web.StreamResponse:
    """`GET /metrics`: the station's figures, for programs that collect them."""
    response = web.Response(body=context.of(request).station.metrics().encode())
    response.headers["Content-Type"] = OPENMETRICS
    response.headers["Cache-Control"] = "no-store"
    response.enable_compression()
    return response


async def health(request: web.Request) -> web.StreamResponse:
    """`GET /health`: that the portal answers, and which version does."""
    snapshot = context.of(request).station.snapshot()
    told = {"status": "ok", "state": snapshot.state, "version": snapshot.version}
    return web.json_response(told, headers={"Cache-Control": "no-store"})


async def events(request: web.Request) -> web.StreamResponse:
    """`GET /events`: the status now and after every change, as server-sent events."""
    ctx = context.of(request)
    if ctx.streams.locked():
        raise web.HTTPServiceUnavailable(headers={"Retry-After": "10"})
    async with ctx.streams:
        return await _stream(request, ctx)


async def _stream(request: web.Request, ctx: context.Context) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Cache-Control": "no-store", "Content-Type": "text/event-stream"})
    with contextlib.suppress(ConnectionResetError):  # the listener went away, as listeners do
        await response.prepare(request)
        await response.write(b"retry: 3000\n")
        await _tell(request, ctx, response)
    return response


async def _tell(request: web.Request, ctx: context.Context, response: web.StreamResponse) -> None:
    language = context.language(request)
    version, snapshot = ctx.feed.latest()
    while not _over(request, ctx):
        await response.write(_event(payload(ctx, snapshot, language)))
        version, snapshot = await _news(request, ctx, version)


async def _news(request: web.Request, ctx: context.Context, version: int) -> tuple[int, Snapshot]:
    """What changed; or, after a while, the same again: ages grow, and silence must mean a dead link."""
    waited = 0.0
    while waited < ctx.settings.stream_pulse and not _over(request, ctx):
        news = await ctx.feed.after(version, GLANCE)
        if news is not None:
            return news
        waited += GLANCE
    return ctx.feed.latest()


def _over(request: web.Request, ctx: context.Context) -> bool:
    """Whether nobody listens any more or the portal ends."""
    return ctx.feed.closed or request.transport is None or request.transport.is_closing()


def payload(ctx: context.Context, snapshot: Snapshot, language: Language) -> dict[str, Any]:
    """What a program or the live script learns of `snapshot`."""
    return {
        "page": home(snapshot),
        "revision": revision(snapshot, ctx.secret),
        "shown": shown(snapshot, language),
        "facts": facts(snapshot),
    }


def _event(told: dict[str, Any]) -> bytes:
    return f"data: {_json(told)}\n\n".encode()


def _json(told: dict[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))
