"""The administrator's page: every station and account, found by a word, suspended and resumed."""

from __future__ import annotations

from aiohttp import web

from cloud.dashboard.rendering import page
from cloud.security.administration import ADMINISTRATION, MOST
from cloud.security.sessions import Person, read_form, require_person
from protocol.errors import not_found

SHOWN = 20
"""Of each kind on the page, which must stay small; who has more searches."""


async def show(request: web.Request) -> web.StreamResponse:
    """GET /administration, with `?search=`."""
    await _administrator(request)
    search = request.query.get("search", "")[:100]
    parts = request.app[ADMINISTRATION]
    stations, accounts = await parts.stations(search), await parts.accounts(search)
    return page(
        request,
        "administration.html",
        search=search,
        stations=stations[:SHOWN],
        accounts=accounts[:SHOWN],
        more=max(len(stations), len(accounts)) > SHOWN,
        most=MOST,
    )


async def suspend(request: web.Request) -> web.StreamResponse:
    """POST /administration: `suspend` or `resume` with the id of a station or an account."""
    person = await _administrator(request)
    form = await read_form(request)
    parts, suspended = request.app[ADMINISTRATION], bool(form.get("suspend"))
    which = form.get("suspend") or form.get("resume") or ""
    if which.startswith("dev_"):
        await parts.suspend_station(person, which, suspended=suspended)
    else:
        await parts.suspend_account(person, which, suspended=suspended)
    raise web.HTTPSeeOther("/administration")


async def _administrator(request: web.Request) -> Person:
    person = await require_person(request)
    if not person.administrator:
        raise not_found()
    return person
