"""API tokens over HTTP. They are managed from a session only: a token makes no other token."""

from __future__ import annotations

from aiohttp import web

from cloud.api.bodies import answer, read_json
from cloud.api.routing import Guard, Route
from cloud.security.api_tokens import API_TOKENS
from cloud.security.scopes import Scope
from cloud.security.sessions import Person
from protocol.people_messages import TokenList, TokenMade, TokenRequest


async def tokens(request: web.Request, person: Person) -> web.Response:
    """The tokens of the person, with their last use."""
    return answer(TokenList(tokens=await request.app[API_TOKENS].list(person)))


async def make(request: web.Request, person: Person) -> web.Response:
    """A new token; its secret is in this answer and nowhere else."""
    wish = await read_json(request, TokenRequest)
    scopes = {Scope(word) for word in wish.scopes}
    return answer(await request.app[API_TOKENS].make(person, wish.name, scopes, wish.days), 201)


async def revoke(request: web.Request, person: Person) -> web.Response:
    """Ends a token at once."""
    await request.app[API_TOKENS].revoke(person, request.match_info["token_id"])
    return web.Response(status=204)


ROUTES = (
    Route("GET", "/v1/tokens", tokens, Guard.PERSON, "Your API tokens", answers={200: TokenList}),
    Route(
        "POST",
        "/v1/tokens",
        make,
        Guard.PERSON,
        "Make an API token; it is shown once",
        body=TokenRequest,
        answers={201: TokenMade},
    ),
    Route(
        "DELETE",
        r"/v1/tokens/{token_id:tok_[0-9A-Z]{26}}",
        revoke,
        Guard.PERSON,
        "Revoke an API token",
        answers={204: None},
    ),
)
