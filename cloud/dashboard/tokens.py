"""The page of API tokens: made, shown once, listed with their last use, revoked."""

from __future__ import annotations

from aiohttp import web

from cloud.dashboard.forms import FormError, from_refusal
from cloud.dashboard.rendering import page
from cloud.dashboard.words import N_
from cloud.security.api_tokens import API_TOKENS
from cloud.security.scopes import Scope
from cloud.security.sessions import Person, read_form, require_person
from protocol.errors import Refusal

LIFE_DAYS = 365
SCOPES = {
    Scope.READ: N_("Read stations, events and files"),
    Scope.COMMAND: N_("Send orders and settings"),
    Scope.CLAIM: N_("Add stations"),
}


async def show(request: web.Request) -> web.StreamResponse:
    """GET /account/tokens."""
    return await _page(request, await require_person(request))


async def make(request: web.Request) -> web.StreamResponse:
    """POST /account/tokens: the token stands on this one answer."""
    person = await require_person(request)
    form = await read_form(request)
    chosen = {scope for scope in Scope if form.get(f"scope_{scope}")}
    try:
        made = await request.app[API_TOKENS].make(person, form.get("name", ""), chosen, LIFE_DAYS)
    except Refusal as refusal:
        return await _page(request, person, error=from_refusal(refusal), name=form.get("name", "")[:80])
    return await _page(request, person, token=made.token)


async def revoke(request: web.Request) -> web.StreamResponse:
    """POST /account/tokens/revoke."""
    person = await require_person(request)
    await request.app[API_TOKENS].revoke(person, (await read_form(request)).get("token", ""))
    raise web.HTTPSeeOther("/account/tokens")


async def _page(
    request: web.Request,
    person: Person,
    *,
    token: str | None = None,
    error: FormError | None = None,
    name: str = "",
) -> web.Response:
    return page(
        request,
        "tokens.html",
        status=400 if error else 200,
        tokens=await request.app[API_TOKENS].list(person),
        scopes=SCOPES,
        days=LIFE_DAYS,
        token=token,
        error=error,
        name=name,
    )
