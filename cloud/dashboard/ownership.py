"""The pages on which a station is given up, handed over and taken over. The rules are in `cloud.registry`."""

from __future__ import annotations

from aiohttp import web

from cloud.dashboard.forms import FormError, from_refusal
from cloud.dashboard.rendering import page
from cloud.dashboard.stations import tile
from cloud.dashboard.words import N_, text_to_ms
from cloud.keys import FLEET, OWNERSHIP
from cloud.security.access import Need, refuse_small_role
from cloud.security.sessions import Person, read_form, require_person
from protocol.errors import Refusal

_NOT_SURE = FormError(N_("Tick the box first: a release cannot be taken back."), "sure")


async def former(request: web.Request) -> web.StreamResponse:
    """GET /stations/former: what the person had once; its history is still there."""
    person = await require_person(request)
    tiles = [tile(summary) for summary in await request.app[FLEET].former(person.account_id)]
    return page(request, "former.html", stations=tiles)


async def show(request: web.Request) -> web.StreamResponse:
    """GET /stations/{id}/give-up."""
    return await _page(request, await require_person(request))


async def _page(
    request: web.Request, person: Person, *, error: FormError | None = None, link: str = "", until_ms: int = 0
) -> web.Response:
    device = await request.app[FLEET].get(person.account_id, request.match_info["id"])
    refuse_small_role(device.role, Need.OWN)
    if device.status == "released":
        raise web.HTTPSeeOther(f"/stations/{device.id}")
    status = 400 if error else 200
    return page(
        request, "give_up.html", status=status, station=device, error=error, link=link, until_ms=until_ms
    )


async def release(request: web.Request) -> web.StreamResponse:
    """POST /stations/{id}/release: only with the tick that says "I know"."""
    person = await require_person(request)
    if not (await read_form(request)).get("sure"):
        return await _page(request, person, error=_NOT_SURE)
    device_id = request.match_info["id"]
    await request.app[OWNERSHIP].release(person.account_id, device_id)
    raise web.HTTPSeeOther(f"/stations/{device_id}")


async def offer(request: web.Request) -> web.StreamResponse:
    """POST /stations/{id}/transfer: the link, shown this once."""
    person = await require_person(request)
    try:
        made = await request.app[OWNERSHIP].offer(person.account_id, request.match_info["id"])
    except Refusal as refusal:
        if refusal.status in (403, 404):
            raise
        return await _page(request, person, error=from_refusal(refusal))
    return await _page(request, person, link=made.accept_url, until_ms=text_to_ms(made.expires_at) or 0)


async def withdraw(request: web.Request) -> web.StreamResponse:
    """POST /stations/{id}/transfer/withdraw."""
    person = await require_person(request)
    device_id = request.match_info["id"]
    await request.app[OWNERSHIP].withdraw(person.account_id, device_id)
    raise web.HTTPSeeOther(f"/stations/{device_id}/give-up")


async def receive(request: web.Request) -> web.StreamResponse:
    """GET /transfer/{token}: what is offered, to somebody who is signed in."""
    person = await require_person(request)
    offered = await request.app[OWNERSHIP].look(person.account_id, request.match_info["token"])
    own = offered.owner_id == person.account_id
    return page(request, "take_over.html", offer=offered, own=own, token=request.match_info["token"])


async def accept(request: web.Request) -> web.StreamResponse:
    """POST /transfer/{token}: goes on to the progress of the new claim."""
    person = await require_person(request)
    name = (await read_form(request)).get("name", "").strip()[:200]
    done = await request.app[OWNERSHIP].accept(person.account_id, request.match_info["token"], name or None)
    raise web.HTTPSeeOther(f"/claims/{done.claim_id}")


ROUTES = (
    web.get("/stations/former", former),
    web.get("/stations/{id}/give-up", show),
    web.post("/stations/{id}/release", release),
    web.post("/stations/{id}/transfer", offer),
    web.post("/stations/{id}/transfer/withdraw", withdraw),
    web.get("/transfer/{token}", receive),
    web.post("/transfer/{token}", accept),
)
