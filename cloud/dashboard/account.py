"""The account page: the name to show and the password. Rules for both are in `cloud.security.accounts`."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from cloud.dashboard.forms import FormError, from_refusal
from cloud.dashboard.rendering import page
from cloud.dashboard.words import N_
from cloud.security.accounts import ACCOUNTS
from cloud.security.network import client_network
from cloud.security.sessions import SESSIONS, Person, read_form, require_person
from protocol.errors import Refusal

_DONE = {
    "name": N_("Your name is saved."),
    "password": N_("Your password is changed. You were signed out everywhere else."),
}


async def show(request: web.Request) -> web.StreamResponse:
    """GET /account, after a change with `?done=`."""
    person = await require_person(request)
    return _page(request, person, done=_DONE.get(request.query.get("done", "")))


async def rename(request: web.Request) -> web.StreamResponse:
    """POST /account/name."""
    person = await require_person(request)
    wanted = (await read_form(request)).get("name", "")
    try:
        await request.app[ACCOUNTS].rename(person.account_id, wanted)
    except Refusal as refusal:
        return _page(request, replace(person, name=wanted[:200]), error=from_refusal(refusal))
    raise web.HTTPSeeOther("/account?done=name")


async def change_password(request: web.Request) -> web.StreamResponse:
    """POST /account/password; every other session of the person ends."""
    person = await require_person(request)
    form = await read_form(request)
    try:
        await request.app[ACCOUNTS].change_password(
            person.account_id, form.get("current", ""), form.get("new", ""), client_network(request)
        )
    except Refusal as refusal:
        return _page(request, person, error=from_refusal(refusal))
    await request.app[SESSIONS].end_others(person)
    raise web.HTTPSeeOther("/account?done=password")


def _page(
    request: web.Request, person: Person, *, done: str | None = None, error: FormError | None = None
) -> web.Response:
    return page(request, "account.html", status=400 if error else 200, shown=person, done=done, error=error)
