"""What persons read and change of their stations over HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from cloud.api.bodies import answer, number, read_json
from cloud.api.routing import Guard, Parameter, Route
from cloud.fleet.commands import CommandRequest, CommandState
from cloud.fleet.models import DeviceDetail, DeviceList, EventDetail, EventList
from cloud.keys import COMMANDS, FLEET, UNIX_MS
from cloud.security.scopes import Scope
from cloud.security.sessions import Person
from protocol.clock import from_unix
from protocol.errors import not_found
from protocol.messages import Location, Name, Request

_ID = r"{device_id:dev_[0-9A-Z]{26}}"
_SHOWN = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp", "video/mp4", "video/webm"})
"""Types that a browser may open in place; every other file is offered to be saved."""


class DeviceChange(Request):
    """PATCH /devices/:id: what an owner may change."""

    name: Name | None = None
    location: Location | None = None


async def devices(request: web.Request, person: Person) -> web.Response:
    """All stations of the person."""
    found = await request.app[FLEET].list(person.account_id)
    return answer(DeviceList(devices=list(found), server_time=from_unix(request.app[UNIX_MS]() / 1000)))


async def device(request: web.Request, person: Person) -> web.Response:
    """One station."""
    return answer(await request.app[FLEET].get(person.account_id, request.match_info["device_id"]))


async def change(request: web.Request, person: Person) -> web.Response:
    """Another name or place."""
    device_id, wish = request.match_info["device_id"], await read_json(request, DeviceChange)
    fleet = request.app[FLEET]
    await fleet.change(person.account_id, device_id, name=wish.name, location=wish.location)
    return answer(await fleet.get(person.account_id, device_id))


async def command(request: web.Request, person: Person) -> web.Response:
    """An order for the station."""
    order = await read_json(request, CommandRequest)
    made = await request.app[COMMANDS].queue(person.account_id, request.match_info["device_id"], order)
    return answer(made, 201)


async def events(request: web.Request, person: Person) -> web.Response:
    """A page of events, newest first."""
    page = await request.app[FLEET].event_page(
        person.account_id,
        request.match_info["device_id"],
        before=number(request, "before"),
        limit=number(request, "limit") or 50,
    )
    return answer(page)


async def event(request: web.Request, person: Person) -> web.Response:
    """One event with everything the station said."""
    ids = request.match_info
    return answer(await request.app[FLEET].event(person.account_id, ids["device_id"], ids["event_id"]))


async def media(request: web.Request, person: Person) -> web.StreamResponse:
    """A file of an event, as the station sent it."""
    ids = request.match_info
    path, mime, name = await request.app[FLEET].media(person.account_id, ids["device_id"], ids["sha256"])
    if not await asyncio.to_thread(path.is_file):
        raise not_found()
    return _file(path, mime, name)


def _file(path: Path, mime: str, name: str) -> web.FileResponse:
    kind = "inline" if mime in _SHOWN else "attachment"
    headers = {
        "Content-Type": mime,
        "Content-Disposition": f"{kind}; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, max-age=31536000, immutable",
    }
    return web.FileResponse(path, headers=headers)


_NUMBER = {"type": "integer", "minimum": 0}

ROUTES = (
    Route(
        "GET",
        "/v1/devices",
        devices,
        Guard.PERSON,
        "All your stations",
        answers={200: DeviceList},
        scope=Scope.READ,
    ),
    Route(
        "GET",
        f"/v1/devices/{_ID}",
        device,
        Guard.PERSON,
        "One of your stations",
        answers={200: DeviceDetail},
        scope=Scope.READ,
    ),
    Route(
        "PATCH",
        f"/v1/devices/{_ID}",
        change,
        Guard.PERSON,
        "Change name or place of a station",
        body=DeviceChange,
        answers={200: DeviceDetail},
        scope=Scope.COMMAND,
    ),
    Route(
        "POST",
        f"/v1/devices/{_ID}/commands",
        command,
        Guard.PERSON,
        "Queue an order for a station",
        body=CommandRequest,
        answers={201: CommandState},
        scope=Scope.COMMAND,
    ),
    Route(
        "GET",
        f"/v1/devices/{_ID}/events",
        events,
        Guard.PERSON,
        "Events of a station, newest first",
        answers={200: EventList},
        parameters=[
            Parameter("before", "query", "The cursor of the last event of the page before", _NUMBER),
            Parameter("limit", "query", "At most 200", _NUMBER),
        ],
        scope=Scope.READ,
    ),
    Route(
        "GET",
        f"/v1/devices/{_ID}/events/{{event_id:[0-9a-f-]{{36}}}}",
        event,
        Guard.PERSON,
        "One event",
        answers={200: EventDetail},
        scope=Scope.READ,
    ),
    Route(
        "GET",
        f"/v1/devices/{_ID}/media/{{sha256:[0-9a-f]{{64}}}}",
        media,
        Guard.PERSON,
        "A file of an event, as it was sent",
        files=["*/*"],
        scope=Scope.READ,
    ),
)
