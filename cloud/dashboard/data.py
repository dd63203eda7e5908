"""One's data as pages: a copy to keep, and deleting a station or the account. The rules are in `rights`."""

from __future__ import annotations

from aiohttp import web

from cloud.api.rights import download
from cloud.dashboard.forms import FormError, from_refusal
from cloud.dashboard.rendering import page
from cloud.dashboard.words import N_
from cloud.keys import FLEET
from cloud.rights.removal import REMOVAL
from cloud.security.network import client_network
from cloud.security.sessions import Person, clear_cookie, read_form, require_person
from protocol.errors import Refusal


async def show(request: web.Request) -> web.StreamResponse:
    """GET /account/data."""
    return await _account(request, await require_person(request))


async def export(request: web.Request) -> web.StreamResponse:
    """GET /account/data.zip."""
    return await download(request, await require_person(request))


async def delete_account(request: web.Request) -> web.StreamResponse:
    """POST /account/delete, with the password."""
    person = await require_person(request)
    password = (await read_form(request)).get("current", "")
    try:
        await request.app[REMOVAL].account(person, password, client_network(request))
    except Refusal as refusal:
        return await _account(request, person, error=from_refusal(refusal))
    response = web.HTTPSeeOther("/sign-in")
    clear_cookie(request, response)
    raise response


async def _account(request: web.Request, person: Person, *, error: FormError | None = None) -> web.Response:
    stations = [one for one in await request.app[FLEET].list(person.account_id) if one.role == "owner"]
    return page(request, "data.html", status=400 if error else 200, stations=stations, error=error)


async def ask_station(request: web.Request) -> web.StreamResponse:
    """GET /stations/{id}/delete."""
    return await _station(request, await require_person(request))


async def delete_station(request: web.Request) -> web.StreamResponse:
    """POST /stations/{id}/delete, with the short id typed by hand."""
    person = await require_person(request)
    device_id = request.match_info["id"]
    station = await request.app[FLEET].get(person.account_id, device_id)
    typed = (await read_form(request)).get("short_id", "")
    if "".join(typed.split()).upper() != station.short_id and station.role == "owner":
        error = FormError(N_("This is not the short id of the station."), "short_id")
        return await _station(request, person, error=error)
    await request.app[REMOVAL].station(person, device_id)
    raise web.HTTPSeeOther("/")


async def _station(request: web.Request, person: Person, *, error: FormError | None = None) -> web.Response:
    station = await request.app[FLEET].get(person.account_id, request.match_info["id"])
    if station.role != "owner":
        raise Refusal(None, "role", "Only the owner may do this.", status=403)
    return page(request, "delete_station.html", status=400 if error else 200, station=station, error=error)
