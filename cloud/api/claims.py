"""Claims over HTTP: tokens, device codes, initiate, validate, confirm, status."""

from __future__ import annotations

from aiohttp import web

from cloud.api.bodies import answer, read_json
from cloud.api.routing import Guard, Parameter, Route
from cloud.keys import CLAIMS, ENROLMENT
from cloud.security.device_auth import Claimant
from cloud.security.network import client_network
from cloud.security.scopes import Scope
from cloud.security.sessions import Person
from protocol.errors import INVALID, Refusal
from protocol.messages import (
    ClaimComplete,
    ClaimPending,
    ClaimRequest,
    ClaimStatus,
    ClaimTokenAnswer,
    ClaimTokenRequest,
    ConfirmRequest,
    InitiateAnswer,
    InitiateRequest,
    Pending,
    ValidateAnswer,
    ValidateRequest,
)


async def claim_token(request: web.Request, person: Person) -> web.Response:
    """A token for one station."""
    message = await read_json(request, ClaimTokenRequest)
    return answer(await request.app[CLAIMS].open_token(person.account_id, message), 201)


async def initiate(request: web.Request, person: Person) -> web.Response:
    """A person names a station. What cannot be read costs a try as well."""
    claims = request.app[CLAIMS]
    await claims.charge(person.account_id)
    message = await read_json(request, InitiateRequest)
    return answer(await claims.initiate_charged(person.account_id, message))


async def status(request: web.Request, viewer: str) -> web.Response:
    """How far a claim is, for its person and its device; with `wait`, when it changes."""
    wait, claims, claim_id = (
        request.query.get("wait", "0"),
        request.app[CLAIMS],
        request.match_info["claim_id"],
    )
    if not (wait.isascii() and wait.isdigit() and len(wait) <= 4):
        raise Refusal("REG-007", INVALID, "wait is a number of seconds.", field="$.wait")
    if int(wait):
        return answer(await claims.next_status(claim_id, viewer, int(wait)))
    return answer(await claims.status(claim_id, viewer))


async def claim(request: web.Request, claimant: Claimant, message: ClaimRequest) -> web.Response:
    """A station wants to become somebody's."""
    outcome = await request.app[ENROLMENT].claim(message, claimant, client_network(request))
    return answer(outcome.answer, outcome.status)


async def validate(request: web.Request, claimant: Claimant, message: ValidateRequest) -> web.Response:
    """Has a person come?"""
    outcome = await request.app[ENROLMENT].validate(message.claim_id, claimant)
    return answer(outcome.answer, outcome.status)


async def confirm(request: web.Request, claimant: Claimant, message: ConfirmRequest) -> web.Response:
    """The challenge comes back."""
    outcome = await request.app[ENROLMENT].confirm(message, claimant)
    return answer(outcome.answer, outcome.status)


ROUTES = (
    Route(
        "POST",
        "/v1/devices/claim-token",
        claim_token,
        Guard.PERSON,
        "Open a claim and get a token that one station may use once",
        body=ClaimTokenRequest,
        answers={201: ClaimTokenAnswer},
        scope=Scope.CLAIM,
    ),
    Route(
        "POST",
        "/v1/devices/register/initiate",
        initiate,
        Guard.PERSON,
        "Name a station by short id and PIN or link secret, or open a claim for a token",
        body=InitiateRequest,
        answers={200: InitiateAnswer},
        scope=Scope.CLAIM,
    ),
    Route(
        "GET",
        "/v1/devices/claim-status/{claim_id:clm_[0-9A-Z]{26}}",
        status,
        Guard.PERSON_OR_KEY,
        "How far a claim is",
        answers={200: ClaimStatus},
        scope=Scope.CLAIM,
        parameters=[
            Parameter(
                "wait",
                "query",
                "Answer at the next change, or after so many seconds; 25 at most",
                {"type": "integer", "minimum": 0},
            )
        ],
    ),
    Route(
        "POST",
        "/v1/devices/claim",
        claim,
        Guard.KEY,
        "A station claims with a token, or shows a card and waits for a person",
        body=ClaimRequest,
        answers={200: ClaimComplete, 201: ClaimComplete, 202: ClaimPending},
    ),
    Route(
        "POST",
        "/v1/devices/register/validate",
        validate,
        Guard.KEY,
        "A station asks whether a person has come",
        body=ValidateRequest,
        answers={200: ValidateAnswer, 202: Pending},
    ),
    Route(
        "POST",
        "/v1/devices/register/confirm",
        confirm,
        Guard.KEY,
        "A station proves its key and gets its certificate",
        body=ConfirmRequest,
        answers={200: ClaimComplete, 201: ClaimComplete},
    ),
)
