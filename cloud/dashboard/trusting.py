"""What an owner does about a station's certificate on its page. The words stand in the template."""

from __future__ import annotations

from aiohttp import web

from cloud.keys import FLEET, RENEWALS, REVOCATIONS
from cloud.security.sessions import read_form, require_person
from protocol.certificate_messages import RevokeRequest


async def approve(request: web.Request) -> web.StreamResponse:
    """POST /stations/{id}/approve: the station may renew, however late it is."""
    person = await require_person(request)
    await read_form(request)
    device_id = request.match_info["id"]
    await request.app[RENEWALS].approve(person.account_id, device_id)
    raise web.HTTPSeeOther(f"/stations/{device_id}")


async def revoke(request: web.Request) -> web.StreamResponse:
    """POST /stations/{id}/revoke: the station is shut out. Its short id must have been typed."""
    person = await require_person(request)
    form, device_id = await read_form(request), request.match_info["id"]
    station = await request.app[FLEET].get(person.account_id, device_id)
    typed = "".join(form.get("sure", "").split()).replace("-", "").upper()
    if typed == station.short_id:
        await request.app[REVOCATIONS].revoke(person.account_id, device_id, RevokeRequest())
    raise web.HTTPSeeOther(f"/stations/{device_id}")
