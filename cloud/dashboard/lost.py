"""Pages for a lost password: asking for a link, choosing a new one. The rules are in `security.resets`."""

from __future__ import annotations

from aiohttp import web

from cloud.dashboard.forms import FormError, from_refusal
from cloud.dashboard.rendering import page
from cloud.mail.outbox import OUTBOX
from cloud.security.network import client_network
from cloud.security.resets import RESETS
from cloud.security.sessions import read_form, require_same_origin
from cloud.speaking import language_of
from protocol.errors import Refusal


async def show(request: web.Request) -> web.StreamResponse:
    """GET /forgot."""
    return _ask(request)


async def ask(request: web.Request) -> web.StreamResponse:
    """POST /forgot: the same page for every address."""
    require_same_origin(request)
    email = (await read_form(request)).get("email", "")[:254]
    try:
        await request.app[RESETS].ask(email, client_network(request), language_of(request))
    except Refusal as refusal:
        return _ask(request, error=refusal)
    return _ask(request, asked=True)


def _ask(request: web.Request, *, asked: bool = False, error: Refusal | None = None) -> web.Response:
    outbox = request.app[OUTBOX]
    response = page(
        request,
        "forgot.html",
        status=error.status if error else 200,
        asked=asked,
        mailed=outbox.works,
        folder=outbox.folder,
        error=from_refusal(error) if error else None,
    )
    if error is not None and error.retry_after:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


async def choose(request: web.Request) -> web.StreamResponse:
    """GET /reset?token=: the form, or that the link is over."""
    token = request.query.get("token", "")[:100]
    return _choose(request, token, holds=await request.app[RESETS].holds(token))


async def change(request: web.Request) -> web.StreamResponse:
    """POST /reset: the new password is in force, then one signs in with it."""
    require_same_origin(request)
    form = await read_form(request)
    token = form.get("token", "")[:100]
    try:
        await request.app[RESETS].use(token, form.get("new", ""), client_network(request))
    except Refusal as refusal:
        if refusal.status == 410:
            return _choose(request, token, holds=False)
        return _choose(request, token, holds=True, error=from_refusal(refusal), status=refusal.status)
    raise web.HTTPSeeOther("/sign-in?next=/account")


def _choose(
    request: web.Request, token: str, *, holds: bool, error: FormError | None = None, status: int = 200
) -> web.Response:
    return page(request, "reset.html", status=status if holds else 410, token=token, holds=holds, error=error)
