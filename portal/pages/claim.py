"""The claim card, made to be photographed, and the claim code for those who begin at their account."""

from __future__ import annotations

from aiohttp import web

from portal import context
from portal.forms import claim_code
from portal.pages.forms import posted, require_token, see_other
from portal.pages.refused import status_of
from portal.qr import svg
from portal.render import page
from portal.view import Refusal

REFRESH = 5  # seconds


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /claim`: the card while there is something to claim; with `?enter` the form for a code."""
    ctx = context.of(request)
    snapshot = ctx.station.snapshot()
    if snapshot.claimed and snapshot.phase != "claiming":
        raise web.HTTPFound("/status")
    if "enter" in request.query:
        return code_form(request)
    client = context.client(request)
    # A client that has loaded the card has nothing left to do on the hotspot.
    ctx.visitors.loaded_last_page(client, snapshot)
    if snapshot.phase == "claiming":
        await ctx.station.client_seen(client, "result")
    return page(
        request,
        "claim.html",
        refresh=REFRESH,
        card=snapshot.card,
        qr=svg(snapshot.card.claim_url) if snapshot.card else "",
        code_taken="code" in request.query,
    )


async def use_code(request: web.Request) -> web.StreamResponse:
    """`POST /claim/code`: a claim code from the person's account."""
    fields = await posted(request)
    code = fields.get("claim_code", "")
    try:
        require_token(request, fields)
        await context.of(request).station.use_claim_code(claim_code(code), fields.get("code", "").strip())
    except Refusal as refused:
        return code_form(request, refused, code)
    return see_other("/claim?code=taken")


def code_form(request: web.Request, refused: Refusal | None = None, code: str = "") -> web.Response:
    """The form on a page that never renews itself: nobody types 47 characters in five seconds."""
    return page(request, "code.html", status=status_of(refused), refused=refused, code=code)
