"""Bulk registration and replaced storage over HTTP. The rules are in `cloud.registry`."""

from __future__ import annotations

from aiohttp import web

from cloud.api.bodies import answer, read_json, read_limited
from cloud.api.routing import Guard, Route
from cloud.keys import BATCHES, REPLACEMENTS
from cloud.registry import batch_file
from cloud.security.sessions import Person
from protocol.batch_messages import (
    BatchRequest,
    BatchStatus,
    PreauthorizeAnswer,
    PreauthorizeRequest,
    TokenBatch,
)
from protocol.errors import INVALID, Refusal
from protocol.limits import MAX_JSON_BYTES
from protocol.ownership_messages import Replacement, ReplacementList, ReplaceRequest

_ID = r"{device_id:dev_[0-9A-Z]{26}}"
_CLAIM = r"{claim_id:clm_[0-9A-Z]{26}}"
_BATCH = r"{batch_id:bat_[0-9A-Z]{26}}"


async def _csv(request: web.Request) -> str | None:
    """The text of a CSV body; None for every other kind. A form of another site cannot send this type."""
    if request.content_type != "text/csv":
        return None
    try:
        return (await read_limited(request, MAX_JSON_BYTES)).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refusal("REG-007", INVALID, "Save the list as UTF-8.", field="$") from None


async def preauthorize(request: web.Request, person: Person) -> web.Response:
    """Keys whose first claim needs no person."""
    text = await _csv(request)
    if text is None:
        wish = await read_json(request, PreauthorizeRequest)
    else:
        wish = batch_file.from_csv(text, PreauthorizeRequest)
    return answer(await request.app[BATCHES].preauthorize(person.account_id, wish), 201)


async def batch(request: web.Request, person: Person) -> web.Response:
    """One-use tokens, one a station."""
    text = await _csv(request)
    wish = await read_json(request, BatchRequest) if text is None else batch_file.from_csv(text, BatchRequest)
    return answer(await request.app[BATCHES].tokens(person.account_id, wish), 201)


async def batch_status(request: web.Request, person: Person) -> web.Response:
    """How far a batch is."""
    return answer(await request.app[BATCHES].status(person.account_id, request.match_info["batch_id"]))


async def batch_cancel(request: web.Request, person: Person) -> web.Response:
    """What is open of a batch ends."""
    return answer(await request.app[BATCHES].cancel(person.account_id, request.match_info["batch_id"]))


async def replacements(request: web.Request, person: Person) -> web.Response:
    """New cards that ask to take a station's place."""
    return answer(await request.app[REPLACEMENTS].of(person.account_id, request.match_info["device_id"]))


async def decide(request: web.Request, person: Person) -> web.Response:
    """The owner's yes or no."""
    wish, ids = await read_json(request, ReplaceRequest), request.match_info
    decided = await request.app[REPLACEMENTS].decide(
        person.account_id, ids["device_id"], ids["claim_id"], wish
    )
    return answer(decided)


ROUTES = (
    Route(
        "POST",
        "/v1/devices/preauthorize",
        preauthorize,
        Guard.PERSON,
        "Name keys whose first claim succeeds without a person; JSON, or CSV with keyid,name,location",
        body=PreauthorizeRequest,
        answers={201: PreauthorizeAnswer},
    ),
    Route(
        "POST",
        "/v1/devices/batches",
        batch,
        Guard.PERSON,
        "Make one-use tokens for many stations; JSON, or CSV with name,location,device_id",
        body=BatchRequest,
        answers={201: TokenBatch},
    ),
    Route(
        "GET",
        f"/v1/devices/batches/{_BATCH}",
        batch_status,
        Guard.PERSON,
        "How far each station of a batch is",
        answers={200: BatchStatus},
    ),
    Route(
        "DELETE",
        f"/v1/devices/batches/{_BATCH}",
        batch_cancel,
        Guard.PERSON,
        "End what is still open of a batch",
        answers={200: BatchStatus},
    ),
    Route(
        "GET",
        f"/v1/devices/{_ID}/replacements",
        replacements,
        Guard.PERSON,
        "New cards that ask to take the station's place",
        answers={200: ReplacementList},
    ),
    Route(
        "POST",
        f"/v1/devices/{_ID}/replacements/{_CLAIM}",
        decide,
        Guard.PERSON,
        "Say whether a new card takes the station's place",
        body=ReplaceRequest,
        answers={200: Replacement},
    ),
)
