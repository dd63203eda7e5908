"""The technician's page, and the two things that may be asked of a station there."""

from __future__ import annotations

from aiohttp import web

from portal import context
from portal.pages.country import place
from portal.pages.forms import posted, require_token, see_other
from portal.render import page

REFRESH = 30  # seconds


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /status`."""
    ctx = context.of(request)
    client = context.client(request)
    snapshot = ctx.station.snapshot()
    ctx.visitors.loaded_last_page(client, snapshot)
    if snapshot.phase == "operational":
        await ctx.station.client_seen(client, "result")
    done = request.query.get("done", "")
    return page(request, "status.html", refresh=REFRESH, done=done, place=await place(request))


async def locate(request: web.Request) -> web.StreamResponse:
    """`POST /status/locate`: blink the light."""
    require_token(request, await posted(request))
    await context.of(request).station.locate()
    return see_other("/status?done=locate")


async def retry(request: web.Request) -> web.StreamResponse:
    """`POST /status/retry`: try to send what waits."""
    require_token(request, await posted(request))
    await context.of(request).station.retry()
    return see_other("/status?done=retry")
