"""Choosing another language on a page, without a script. What is chosen where stands in `cloud.speaking`."""

from __future__ import annotations

from aiohttp import web

from cloud.dashboard.entrance import own_path
from cloud.keys import SETTINGS
from cloud.security.accounts import ACCOUNTS
from cloud.security.sessions import find_person, read_form, require_person, require_same_origin
from cloud.speaking import LANGUAGES, remember


async def choose(request: web.Request) -> web.StreamResponse:
    """POST /language: remembers the choice and goes back to the page. Unknown languages change nothing."""
    require_same_origin(request)
    form = await read_form(request)
    chosen = request.app[LANGUAGES].get(form.get("language", ""))
    response = web.HTTPSeeOther(own_path(form.get("back", "/")))
    person = await require_person(request) if await find_person(request) else None
    if chosen is not None:
        if person is not None:
            await request.app[ACCOUNTS].speak(person.account_id, chosen.tag)
        remember(response, chosen, secure=request.app[SETTINGS].base.startswith("https:"))
    raise response


ROUTES = (web.post("/language", choose),)
