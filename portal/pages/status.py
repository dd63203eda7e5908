"""The status page, which everybody may read, and the one thing that may be asked there before the claim."""

from __future__ import annotations

from aiohttp import web

from portal import context
from portal.pages.country import place
from portal.pages.forms import posted, require_token, see_other
from portal.qr import svg
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
    pages = snapshot.network.pages
    return page(
        request,
        "status.html",
        refresh=REFRESH,
        done=done,
        place=await place(request),
        qr=svg(pages) if pages else "",
    )


async def locate(request: web.Request) -> web.StreamResponse:
    """`POST /status/locate`: blink the light, while a person still looks for a station of nobody's."""
    require_token(request, await posted(request))
    station = context.of(request).station
    if station.snapshot().claimed:
        return see_other("/technician")
    await station.locate()
    return see_other("/status?done=locate")
