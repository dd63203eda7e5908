"""Who may see a station, and invitations of others, as pages. The rules are in `security.sharing`."""

from __future__ import annotations

from aiohttp import web

from cloud.dashboard.forms import FormError, from_refusal
from cloud.dashboard.rendering import page
from cloud.dashboard.words import N_
from cloud.keys import FLEET
from cloud.mail.outbox import OUTBOX
from cloud.security.sessions import Person, read_form, require_person
from cloud.security.sharing import SHARING
from cloud.speaking import language_of
from protocol.errors import Refusal

ROLES = {
    "owner": N_("Owner"),
    "technician": N_("Technician"),
    "viewer": N_("Viewer"),
    "administrator": N_("Administrator"),
}


async def show(request: web.Request) -> web.StreamResponse:
    """GET /stations/{id}/people, after an invitation with `?done=`."""
    person = await require_person(request)
    return await _page(request, person)


async def invite(request: web.Request) -> web.StreamResponse:
    """POST /stations/{id}/people."""
    person = await require_person(request)
    device_id, form = request.match_info["id"], await read_form(request)
    email, role = form.get("email", "")[:254], form.get("role", "")
    role = role if role == "technician" else "viewer"
    try:
        await request.app[SHARING].invite(person, device_id, email, role, language_of(request))
    except Refusal as refusal:
        if refusal.status in (403, 404):
            raise
        return await _page(request, person, error=from_refusal(refusal, "email"), email=email)
    raise web.HTTPSeeOther(f"/stations/{device_id}/people?done=invited")


async def remove(request: web.Request) -> web.StreamResponse:
    """POST /stations/{id}/people/remove: somebody else, an invitation, or oneself."""
    person = await require_person(request)
    device_id, member = request.match_info["id"], (await read_form(request)).get("person", "")
    await request.app[SHARING].remove(person, device_id, member)
    raise web.HTTPSeeOther("/" if member == person.account_id else f"/stations/{device_id}/people")


async def answer(request: web.Request) -> web.StreamResponse:
    """POST /invitations/{id}: accept or decline."""
    person = await require_person(request)
    accept = (await read_form(request)).get("answer") == "accept"
    device_id = await request.app[SHARING].answer(person, request.match_info["id"], accept=accept)
    raise web.HTTPSeeOther(f"/stations/{device_id}" if accept else "/")


async def _page(
    request: web.Request,
    person: Person,
    *,
    error: FormError | None = None,
    email: str = "",
) -> web.Response:
    device_id = request.match_info["id"]
    station = await request.app[FLEET].get(person.account_id, device_id)
    return page(
        request,
        "people.html",
        status=400 if error else 200,
        station=station,
        people=await request.app[SHARING].people(person, device_id),
        roles=ROLES,
        folder=request.app[OUTBOX].folder,
        mailed=request.app[OUTBOX].works,
        done=request.query.get("done") == "invited" and error is None,
        error=error,
        email=email,
    )
