"""What a station asks before it can trust anything: the signed time, and the cloud's keys."""

from __future__ import annotations

import msgspec
from aiohttp import web

from cloud.api.bodies import answer
from cloud.api.routing import Guard, Parameter, Route
from cloud.keys import CLOUD_KEYS, UNIX_MS
from protocol.clock import from_unix
from protocol.errors import INVALID, Refusal
from protocol.timestamp import KeysAnswer, SignedTime, is_nonce


async def time(request: web.Request) -> web.Response:
    """The time, signed together with the nonce of the question. Meant to be asked over plain HTTP as well."""
    nonce = request.query.get("nonce", "")
    if not is_nonce(nonce):
        raise Refusal("REG-007", INVALID, "nonce must be 16 bytes in base64url.", field="$.nonce")
    now = request.app[UNIX_MS]()
    signed = request.app[CLOUD_KEYS].time(nonce, now)
    if request.query.get("proof") == "1":
        signed = msgspec.structs.replace(signed, keys=request.app[CLOUD_KEYS].answer(from_unix(now / 1000)))
    return answer(signed)


async def keys(request: web.Request) -> web.Response:
    """The keys that count, signed by those that counted before."""
    now = from_unix(request.app[UNIX_MS]() / 1000)
    return answer(request.app[CLOUD_KEYS].answer(now))


ROUTES = (
    Route(
        "GET",
        "/time",
        time,
        Guard.PUBLIC,
        "The time, signed together with a nonce",
        answers={200: SignedTime},
        parameters=[
            Parameter(
                "nonce", "query", "16 random bytes in base64url", {"type": "string", "minLength": 22}, True
            ),
            Parameter("proof", "query", "1 for the way from the root to these keys", {"enum": ["1"]}),
        ],
    ),
    Route("GET", "/v1/keys", keys, Guard.PUBLIC, "Keys that stations pin, signed", answers={200: KeysAnswer}),
)
