"""The queue of registrations, and older ways to register, over HTTP. The rules are in `cloud.registry`."""

from __future__ import annotations

from aiohttp import web

from cloud.api.bodies import answer, read_json
from cloud.api.routing import Guard, Route
from cloud.keys import LEGACY, QUEUE
from cloud.security.sessions import Person
from protocol.messages import InitiateAnswer
from protocol.registration_messages import (
    LegacyRegisterAnswer,
    LegacyRegisterRequest,
    NamedRegisterRequest,
    QueuedRegistration,
    RegistrationList,
    RegistrationToken,
)


async def listed(request: web.Request, person: Person) -> web.Response:
    """The caller's own messages."""
    return answer(await request.app[QUEUE].of(person.account_id))


async def retry(request: web.Request, person: Person) -> web.Response:
    """A dead one goes back."""
    return answer(await request.app[QUEUE].retry(person.account_id, request.match_info["message_id"]))


async def token(request: web.Request, person: Person) -> web.Response:
    """A JWT for the first edge client."""
    return answer(request.app[LEGACY].token(person.account_id), 201)


async def legacy(request: web.Request, account_id: str) -> web.Response:
    """As the first edge client registers: a hardware id, and its person's JWT."""
    message = await read_json(request, LegacyRegisterRequest)
    return answer(await request.app[LEGACY].register(account_id, message))


async def named(request: web.Request, person: Person) -> web.Response:
    """Name and place; the token in the answer is for the station."""
    message = await read_json(request, NamedRegisterRequest)
    return answer(await request.app[LEGACY].named(person.account_id, message), 201)


ROUTES = (
    Route(
        "GET",
        "/v1/devices/registrations",
        listed,
        Guard.PERSON,
        "The queue of your registrations, dead ones included",
        answers={200: RegistrationList},
    ),
    Route(
        "POST",
        r"/v1/devices/registrations/{message_id:reg_[0-9A-Z]{26}}/retry",
        retry,
        Guard.PERSON,
        "Put a dead one back into the queue",
        answers={200: QueuedRegistration},
    ),
    Route(
        "POST",
        "/v1/devices/registration-token",
        token,
        Guard.PERSON,
        "A JWT with which the first edge client registers, good for 15 minutes",
        answers={201: RegistrationToken},
    ),
    Route(
        "POST",
        "/api/v1/devices/register",
        legacy,
        Guard.REGISTRATION_TOKEN,
        "Register a hardware id with a registration token, as the first edge client does",
        body=LegacyRegisterRequest,
        answers={200: LegacyRegisterAnswer},
    ),
    Route(
        "POST",
        "/v1/devices/register",
        named,
        Guard.PERSON,
        "Open a claim by name and place",
        body=NamedRegisterRequest,
        answers={201: InitiateAnswer},
    ),
)
