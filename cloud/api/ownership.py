"""Giving a station up and handing it over, over HTTP. The rules are in `cloud.registry.ownership`."""

from __future__ import annotations

from aiohttp import web

from cloud.api.bodies import answer, read_json
from cloud.api.routing import Guard, Route
from cloud.keys import OWNERSHIP
from cloud.security.sessions import Person
from protocol.ownership_messages import (
    Released,
    TransferAccept,
    TransferAccepted,
    TransferOffer,
    TransferWithdrawn,
)

_ID = r"{device_id:dev_[0-9A-Z]{26}}"


async def offer(request: web.Request, person: Person) -> web.Response:
    """A link for another person."""
    made = await request.app[OWNERSHIP].offer(person.account_id, request.match_info["device_id"])
    return answer(made, 201)


async def withdraw(request: web.Request, person: Person) -> web.Response:
    """The open link ends."""
    return answer(await request.app[OWNERSHIP].withdraw(person.account_id, request.match_info["device_id"]))


async def accept(request: web.Request, person: Person) -> web.Response:
    """The receiver takes the station."""
    wish = await read_json(request, TransferAccept)
    return answer(await request.app[OWNERSHIP].accept(person.account_id, wish.transfer_token, wish.name))


async def release(request: web.Request, person: Person) -> web.Response:
    """The station is nobody's."""
    return answer(await request.app[OWNERSHIP].release(person.account_id, request.match_info["device_id"]))


ROUTES = (
    Route(
        "POST",
        f"/v1/devices/{_ID}/transfer",
        offer,
        Guard.PERSON,
        "Make a link by which another person takes the station over",
        answers={201: TransferOffer},
    ),
    Route(
        "DELETE",
        f"/v1/devices/{_ID}/transfer",
        withdraw,
        Guard.PERSON,
        "End the open link of a station",
        answers={200: TransferWithdrawn},
    ),
    Route(
        "POST",
        "/v1/devices/transfers/accept",
        accept,
        Guard.PERSON,
        "Take over the station of a link",
        body=TransferAccept,
        answers={200: TransferAccepted},
    ),
    Route(
        "POST",
        f"/v1/devices/{_ID}/release",
        release,
        Guard.PERSON,
        "Give the station up: certificate, token and key end at once, the history stays yours",
        answers={200: Released},
    ),
)
