"""The question whether a new card takes a station's place, as a form. The rules are in `cloud.registry`."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from cloud.dashboard.forms import FormError, from_refusal
from cloud.dashboard.rendering import page
from cloud.keys import FLEET, REPLACEMENTS
from cloud.security.access import Need, refuse_small_role
from cloud.security.sessions import read_form, require_person
from protocol.errors import Refusal
from protocol.ownership_messages import Replacement, ReplaceRequest


async def questions(
    request: web.Request, account_id: str, device_id: str | None, *, claim_id: str | None = None
) -> Sequence[Replacement]:
    """What waits for the person's answer about a station, or about one claim of it."""
    if device_id is None:
        return []
    found = (await request.app[REPLACEMENTS].of(account_id, device_id)).replacements
    return [one for one in found if claim_id in (None, one.claim_id)]


async def show(request: web.Request) -> web.StreamResponse:
    """GET /stations/{id}/replacements."""
    return await _page(request, None)


async def _page(request: web.Request, error: FormError | None, status: int = 200) -> web.Response:
    person = await require_person(request)
    device = await request.app[FLEET].get(person.account_id, request.match_info["id"])
    refuse_small_role(device.role, Need.OWN)
    found = await questions(request, person.account_id, device.id)
    return page(request, "replacements.html", status=status, station=device, questions=found, error=error)


async def decide(request: web.Request) -> web.StreamResponse:
    """POST /stations/{id}/replacements/{claim_id}: a yes with the PIN where none was used, or a no."""
    person, form = await require_person(request), await read_form(request)
    device_id, claim_id = request.match_info["id"], request.match_info["claim_id"]
    wish = ReplaceRequest(accept=form.get("answer") == "yes", pin=form.get("pin", "")[:20] or None)
    try:
        done = await request.app[REPLACEMENTS].decide(person.account_id, device_id, claim_id, wish)
    except Refusal as refusal:
        if refusal.status in (403, 404):
            raise
        return await _page(request, from_refusal(refusal), refusal.status)
    raise web.HTTPSeeOther(f"/claims/{claim_id}" if done.proved else f"/stations/{device_id}")


ROUTES = (
    web.get("/stations/{id}/replacements", show),
    web.post("/stations/{id}/replacements/{claim_id}", decide),
)
