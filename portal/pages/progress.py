"""What the station is doing right now, and how the last try ended for a phone that comes back."""

from __future__ import annotations

from aiohttp import web

from portal import context
from portal.pages.setup import as_before, join_form, retry_form
from portal.present import home
from portal.render import page

REFRESH = 3  # seconds; a joining attempt takes 10 to 40


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /progress`: working, or the verdict with the form again, or on to the next page."""
    ctx = context.of(request)
    snapshot = ctx.station.snapshot()
    now_at = home(snapshot)
    if now_at == "/progress":
        return page(request, "progress.html", refresh=REFRESH)
    form = retry_form(snapshot.attempt)
    if now_at != "/setup" or form is None:
        ctx.drafts.forget(context.client(request))
        raise web.HTTPFound(now_at)
    await ctx.station.client_seen(context.client(request), "result")
    return await join_form(request, as_before(request, form), template="failed.html")
