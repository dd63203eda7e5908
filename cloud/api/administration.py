"""Administration over HTTP: every station, every account, suspending and resuming."""

from __future__ import annotations

from aiohttp import web

from cloud.api.bodies import answer, read_json
from cloud.api.routing import Guard, Parameter, Route
from cloud.security.administration import ADMINISTRATION
from cloud.security.scopes import Scope
from cloud.security.sessions import Person
from protocol.people_messages import AccountList, StationList, SuspendRequest

_SEARCH = Parameter("search", "query", "A part of a name, an id or a mail address", {"type": "string"})


async def devices(request: web.Request, _person: Person) -> web.Response:
    """Every station, by name; at most 200, so search."""
    found = await request.app[ADMINISTRATION].stations(request.query.get("search", "")[:100])
    return answer(StationList(devices=found))


async def accounts(request: web.Request, _person: Person) -> web.Response:
    """Every account, by address; at most 200, so search."""
    found = await request.app[ADMINISTRATION].accounts(request.query.get("search", "")[:100])
    return answer(AccountList(accounts=found))


async def suspend_device(request: web.Request, person: Person) -> web.Response:
    """Refuses a station from its next request on, or hears it again."""
    wish, device_id = await read_json(request, SuspendRequest), request.match_info["device_id"]
    await request.app[ADMINISTRATION].suspend_station(person, device_id, suspended=wish.suspended)
    return web.Response(status=204)


async def suspend_account(request: web.Request, person: Person) -> web.Response:
    """Ends every way into an account, or opens it again."""
    wish, account_id = await read_json(request, SuspendRequest), request.match_info["account_id"]
    await request.app[ADMINISTRATION].suspend_account(person, account_id, suspended=wish.suspended)
    return web.Response(status=204)


ROUTES = (
    Route(
        "GET",
        "/v1/administration/devices",
        devices,
        Guard.ADMINISTRATOR,
        "Every station",
        answers={200: StationList},
        parameters=[_SEARCH],
        scope=Scope.READ,
    ),
    Route(
        "GET",
        "/v1/administration/accounts",
        accounts,
        Guard.ADMINISTRATOR,
        "Every account",
        answers={200: AccountList},
        parameters=[_SEARCH],
        scope=Scope.READ,
    ),
    Route(
        "POST",
        r"/v1/administration/devices/{device_id:dev_[0-9A-Z]{26}}",
        suspend_device,
        Guard.ADMINISTRATOR,
        "Suspend or resume a station",
        body=SuspendRequest,
        answers={204: None},
    ),
    Route(
        "POST",
        r"/v1/administration/accounts/{account_id:usr_[0-9A-Z]{26}}",
        suspend_account,
        Guard.ADMINISTRATOR,
        "Suspend or resume an account",
        body=SuspendRequest,
        answers={204: None},
    ),
)
