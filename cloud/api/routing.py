"""A route with its guard: who may call it is part of its declaration, and nothing is served without one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import msgspec
from aiohttp import web

from cloud.api.bodies import signed_request, unpacked
from cloud.keys import DEVICE_AUTH, LEGACY
from cloud.registry.authority import public_key_of
from cloud.security.api_tokens import API_TOKENS
from cloud.security.device_auth import Claimant
from cloud.security.network import client_network
from cloud.security.scopes import Scope
from cloud.security.sessions import Person, require_person
from cloud.tls import presented
from cloud.validation import decode
from protocol import signature
from protocol.errors import Refusal, not_found
from protocol.limits import MAX_JSON_BYTES
from protocol.messages import ClaimRequest, ConfirmRequest, ValidateRequest


class Guard(Enum):
    """Who may call a route."""

    PUBLIC = "public"
    PERSON = "person"
    """A signed-in person: handler(request, person)."""
    ADMINISTRATOR = "administrator"
    """The same, for somebody who runs this cloud; to others there is nothing here."""
    DEVICE = "device"
    """A claimed device, that of the path: handler(request, device, body)."""
    RENEWAL = "renewal"
    """The same, also with a certificate that ended or was revoked: handler(request, renewer, body)."""
    KEY = "key"
    """Whoever proves the key of the message: handler(request, claimant, message)."""
    REGISTRATION_TOKEN = "registration token"  # noqa: S105 - the name of a guard
    """Whoever holds a person's registration token: handler(request, account_id)."""
    PERSON_OR_KEY = "person or key"
    """handler(request, viewer): an account id or a keyid."""


@dataclass(frozen=True)
class Parameter:
    """A query parameter or header, for the document and for people."""

    name: str
    place: str
    description: str
    schema: Mapping[str, Any]
    required: bool = False


@dataclass(frozen=True)
class Route:
    """One operation. `answers` maps a status to its message, or to None for an answer without JSON."""

    method: str
    path: str
    handler: Callable[..., Awaitable[web.StreamResponse]]
    guard: Guard
    summary: str
    body: Any = None
    content: str = "application/json"
    answers: Mapping[int, Any] = field(default_factory=lambda: {200: None})
    files: Sequence[str] = ()
    """The media types of an answer 200 that is a file."""
    max_body: int = MAX_JSON_BYTES
    parameters: Sequence[Parameter] = ()
    packed: bool = False
    """Whether a device may send the body in gzip; `max_body` then limits what comes out too."""
    scope: Scope | None = None
    """What an API token needs for it; None: it opens to a session only."""


def install(app: web.Application, routes: Sequence[Route]) -> None:
    """Adds the routes, each behind its guard."""
    for route in routes:
        app.router.add_route(route.method, route.path, _GUARDS[route.guard](route))


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _public(route: Route) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await route.handler(request)

    return handle


def _person(route: Route) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        person = await _somebody(request, route)
        return await route.handler(request, person)

    return handle


async def _somebody(request: web.Request, route: Route) -> Person:
    """By session, or by an API token whose scopes reach. Raises `Refusal` 401 and 403.

    A token stands in a header that no other site can set, so it needs no CSRF token beside it.
    """
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return await request.app[API_TOKENS].person(token.strip(), route.scope, client_network(request))
    return await require_person(request)


def _administrator(route: Route) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        person = await _somebody(request, route)
        if not person.administrator:
            raise not_found()
        return await route.handler(request, person)

    return handle


def _device(route: Route) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        signed = await signed_request(request, route.max_body)
        path_id = request.match_info.get("device_id")
        device = await request.app[DEVICE_AUTH].device(signed, path_id, presented(request))
        body = await unpacked(signed, route.max_body, packed_allowed=route.packed)
        return await route.handler(request, device, body)

    return handle


def _renewal(route: Route) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        signed = await signed_request(request, route.max_body)
        renewer = await request.app[DEVICE_AUTH].renewer(signed, request.match_info["device_id"])
        return await route.handler(request, renewer, signed.body)

    return handle


def _key(route: Route) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        signed = await signed_request(request, route.max_body)
        message = decode(signed.body, route.body)
        return await route.handler(request, await _claimant(request, signed, message), message)

    return handle


async def _claimant(request: web.Request, signed: signature.Request, message: msgspec.Struct) -> Claimant:
    """Whose key signed: that of the certificate request, or that of the claim."""
    auth = request.app[DEVICE_AUTH]
    match message:
        case ClaimRequest():
            # A one-use token is fresh by itself, so that a wrong clock is no reason to refuse it.
            key = public_key_of(message.csr)
            return await auth.claimant(signed, key, any_time=message.claim_token is not None)
        case ValidateRequest():
            return await auth.claim_key(signed, message.claim_id)
        case ConfirmRequest():
            key = public_key_of(message.csr)
            claimant = await auth.claim_key(signed, message.claim_id)
            if signature.thumbprint(key) != claimant.keyid:
                raise Refusal("REG-001", "bad_csr", "The certificate request has another key.", field="$.csr")
            return claimant
    raise TypeError(f"no key is found in a {type(message).__name__}")


def _person_or_key(route: Route) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        if "signature-input" in request.headers:
            signed = await signed_request(request, route.max_body)
            claimant = await request.app[DEVICE_AUTH].claim_key(signed, request.match_info["claim_id"])
            return await route.handler(request, claimant.keyid)
        person = await _somebody(request, route)
        return await route.handler(request, person.account_id)

    return handle


def _registration_token(route: Route) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not given.strip():
            raise Refusal(None, "sign_in", "Send a registration token as Bearer.", status=401)
        return await route.handler(request, request.app[LEGACY].account_of(given.strip()))

    return handle


_GUARDS: Mapping[Guard, Callable[[Route], Handler]] = {
    Guard.PUBLIC: _public,
    Guard.PERSON: _person,
    Guard.ADMINISTRATOR: _administrator,
    Guard.DEVICE: _device,
    Guard.RENEWAL: _renewal,
    Guard.KEY: _key,
    Guard.REGISTRATION_TOKEN: _registration_token,
    Guard.PERSON_OR_KEY: _person_or_key,
}
