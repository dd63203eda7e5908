"""A copy of one's data, and the end of a station or an account, over HTTP."""

from __future__ import annotations

from aiohttp import web

from cloud.api.bodies import read_json
from cloud.api.routing import Guard, Route
from cloud.api.streams import stream
from cloud.keys import LIMITS
from cloud.rights.archive import ARCHIVE, EXPORTS
from cloud.rights.removal import REMOVAL
from cloud.security.network import client_network
from cloud.security.sessions import Person
from protocol.people_messages import DeleteAccount

_ID = r"{device_id:dev_[0-9A-Z]{26}}"


async def export(request: web.Request, person: Person) -> web.StreamResponse:
    """Everything that belongs to the person, as a zip that is made while it is sent."""
    return await download(request, person)


async def download(request: web.Request, person: Person) -> web.StreamResponse:
    """The zip. Raises `Refusal` REG-006: it reads everything there is."""
    await request.app[LIMITS].take("export", person.account_id, EXPORTS)
    pieces = await request.app[ARCHIVE].noted(person.account_id)
    return await stream(request, pieces, "application/zip", "meteor-data.zip")


async def delete_station(request: web.Request, person: Person) -> web.Response:
    """Deletes a station with its events and files, for good. For the owner only."""
    await request.app[REMOVAL].station(person, request.match_info["device_id"])
    return web.Response(status=204)


async def delete_account(request: web.Request, person: Person) -> web.Response:
    """Deletes the account with all its stations, for good."""
    wish = await read_json(request, DeleteAccount)
    await request.app[REMOVAL].account(person, wish.password, client_network(request))
    return web.Response(status=204)


ROUTES = (
    Route(
        "GET",
        "/v1/account/export",
        export,
        Guard.PERSON,
        "All your data as a zip",
        files=["application/zip"],
    ),
    Route(
        "POST",
        "/v1/account/delete",
        delete_account,
        Guard.PERSON,
        "Delete your account and all your stations",
        body=DeleteAccount,
        answers={204: None},
    ),
    Route(
        "DELETE",
        f"/v1/devices/{_ID}",
        delete_station,
        Guard.PERSON,
        "Delete a station with its events and files",
        answers={204: None},
    ),
)
