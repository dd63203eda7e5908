"""The progress page of a claim. What it says is in `claim_view`; what happens is in `cloud.registry`."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from cloud.dashboard.claim_view import ClaimPage, claim_page
from cloud.dashboard.rendering import page
from cloud.dashboard.replacing import questions
from cloud.keys import CLAIMS, FLEET
from cloud.security.sessions import Person, require_person
from protocol.errors import Refusal
from protocol.ownership_messages import Replacement


async def show(request: web.Request) -> web.StreamResponse:
    """GET /claims/{id}: where it stands now, for its owner only."""
    person = await require_person(request)
    claim_id = request.match_info["id"]
    claim = await _claim(request, person, claim_id)
    poll = "/v1/devices" if claim.device_id else f"/v1/devices/claim-status/{claim_id}"
    live = {"poll": poll, "source": None, "device": claim.device_id} if claim.open else None
    asked = await _asked(request, person, claim_id)
    return page(request, "progress.html", claim=claim, live=live, questions=asked, error=None)


async def _claim(request: web.Request, person: Person, claim_id: str) -> ClaimPage:
    view = await request.app[CLAIMS].mine(person.account_id, claim_id)
    operational, name = False, view.name
    if view.device_id is not None:
        device = await request.app[FLEET].get(person.account_id, view.device_id)
        operational, name = device.first_operational_ms is not None, device.name
    return claim_page(
        claim_id,
        view.status,
        mode=view.mode,
        name=name,
        short_id=view.short_id,
        error=view.error,
        error_code=view.error_code,
        device_id=view.device_id,
        operational=operational,
    )


async def _asked(request: web.Request, person: Person, claim_id: str) -> Sequence[Replacement]:
    """Whether the person's new station is a new card of one that they have."""
    view = await request.app[CLAIMS].mine(person.account_id, claim_id)
    if view.replaces is None:
        return []
    try:
        return await questions(request, person.account_id, view.replaces, claim_id=claim_id)
    except Refusal:  # somebody else's station: a stranger learns nothing of it
        return []


async def cancel(request: web.Request) -> web.StreamResponse:
    """POST /claims/{id}/cancel."""
    person = await require_person(request)
    claim_id = request.match_info["id"]
    await request.app[CLAIMS].cancel(person.account_id, claim_id)
    raise web.HTTPSeeOther(f"/claims/{claim_id}")
