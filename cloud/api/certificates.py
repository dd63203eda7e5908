"""Certificates over HTTP: stations renew theirs; owners see, approve and revoke them."""

from __future__ import annotations

from aiohttp import web

from cloud.api.bodies import answer, read_json
from cloud.api.routing import Guard, Route
from cloud.keys import CERTIFICATES, CRL, DATABASE, RENEWALS, REVOCATIONS, TOKENS, UNIX_MS
from cloud.registry.certificates import in_force
from cloud.registry.tokens import LIFE_S
from cloud.security.device_auth import DevicePrincipal, Renewer
from cloud.security.sessions import Person
from cloud.validation import decode
from protocol.certificate_messages import (
    CertificateList,
    RenewAnswer,
    RenewRequest,
    RevokeAnswer,
    RevokeRequest,
    TokenAnswer,
)
from protocol.clock import from_unix

_ID = r"{device_id:dev_[0-9A-Z]{26}}"


async def renew(request: web.Request, renewer: Renewer, body: bytes) -> web.Response:
    """A station asks for a certificate for its next key."""
    message, made = await request.app[RENEWALS].renew(renewer, decode(body, RenewRequest))
    return answer(message, 201 if made else 200)


async def approve(request: web.Request, person: Person) -> web.Response:
    """The owner lets a station renew that came too late."""
    await request.app[RENEWALS].approve(person.account_id, request.match_info["device_id"])
    return web.Response(status=204)


async def token(request: web.Request, device: DevicePrincipal, _body: bytes) -> web.Response:
    """A fresh device token, bound to the key that signed and its certificate."""
    leaf = await request.app[DATABASE].read(lambda connection: in_force(connection, device.keyid))
    now = request.app[UNIX_MS]()
    assert leaf is not None, "the guard has seen it"  # noqa: S101
    made = request.app[TOKENS].issue(device.device_id, device.epoch, device.keyid, leaf.sha256, now)
    return answer(TokenAnswer(device_token=made, expires_in=LIFE_S, server_time=from_unix(now / 1000)))


async def revoke(request: web.Request, person: Person) -> web.Response:
    """The owner shuts a station out."""
    wish = await read_json(request, RevokeRequest)
    device_id = request.match_info["device_id"]
    return answer(await request.app[REVOCATIONS].revoke(person.account_id, device_id, wish))


async def listed(request: web.Request, person: Person) -> web.Response:
    """Every certificate of a station."""
    device_id = request.match_info["device_id"]
    return answer(await request.app[REVOCATIONS].list(person.account_id, device_id))


async def download(request: web.Request, person: Person) -> web.Response:
    """One certificate with its chain."""
    ids, chain = request.match_info, request.app[CERTIFICATES].chain
    text = await request.app[REVOCATIONS].pem(person.account_id, ids["device_id"], ids["serial"], chain)
    headers = {"Content-Disposition": f'attachment; filename="{ids["serial"]}.pem"', **_NO_STORE}
    return web.Response(text=text, content_type=_PEM, headers=headers)


async def crl(request: web.Request) -> web.Response:
    """Which certificates are worth nothing, for everybody who checks them elsewhere."""
    return web.Response(body=await request.app[CRL].current(), content_type=_PEM, headers=_NO_STORE)


_PEM = "application/x-pem-file"
_NO_STORE = {"Cache-Control": "no-store"}

ROUTES = (
    Route("GET", "/crl", crl, Guard.PUBLIC, "Revoked certificates, in PEM", files=[_PEM]),
    Route(
        "GET",
        f"/v1/devices/{_ID}/certificates",
        listed,
        Guard.PERSON,
        "Every certificate of a station",
        answers={200: CertificateList},
    ),
    Route(
        "GET",
        f"/v1/devices/{_ID}/certificates/{{serial:[0-9a-f]{{32}}}}",
        download,
        Guard.PERSON,
        "One certificate with its chain, in PEM",
        files=[_PEM],
    ),
    Route(
        "POST",
        f"/v1/devices/{_ID}/token",
        token,
        Guard.DEVICE,
        "A fresh device token for the WebSocket",
        answers={200: TokenAnswer},
    ),
    Route(
        "POST",
        f"/v1/devices/{_ID}/revoke",
        revoke,
        Guard.PERSON,
        "Shut a station out: its keys and certificates are worth nothing from now on",
        body=RevokeRequest,
        answers={200: RevokeAnswer},
    ),
    Route(
        "POST",
        f"/v1/devices/{_ID}/certificates/renew",
        renew,
        Guard.RENEWAL,
        "Get a certificate for a new key, asked for by the old one",
        body=RenewRequest,
        answers={200: RenewAnswer, 201: RenewAnswer},
    ),
    Route(
        "POST",
        f"/v1/devices/{_ID}/certificates/approve",
        approve,
        Guard.PERSON,
        "Let a station renew whose certificate ended too long ago",
        answers={204: None},
    ),
)
