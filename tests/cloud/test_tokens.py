"""Every door that takes a token refuses what is forged, spoiled, over, or made for another door."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import update

from cloud import keys
from cloud.realtime import stations
from cloud.registry.tokens import DeviceTokens
from cloud.security.token_standing import deny
from cloud.security.vault import Secrets
from cloud.store import schema
from protocol.codes import base64url
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.people_parts import PASSWORD
from tests.cloud.test_api_tokens import made, program
from tests.cloud.test_authority import hmac_token
from tests.cloud.test_legacy import jwt_of, register
from tests.cloud.test_station_socket import connected, ended, opened, told, with_token

Claims = dict[str, Any]
Spoiled = Callable[[str, Claims, Claims, Secrets], str]


def signed(claims: Claims, header: Claims, key: Any, algorithm: str = "ES256") -> str:
    others = {name: value for name, value in header.items() if name != "alg"}
    return jwt.encode(claims, key, algorithm, headers=others)


def tampered(token: str, claims: Claims) -> str:
    """Other claims under the signature of the good ones."""
    head, _, mac = token.split(".")
    return f"{head}.{base64url(json.dumps(claims).encode())}.{mac}"


def relabelled(token: str, header: Claims, algorithm: str) -> str:
    """The good signature under the name of another algorithm."""
    _, body, mac = token.split(".")
    return f"{base64url(json.dumps(header | {'alg': algorithm}).encode())}.{body}.{mac}"


def another_p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


SPOILED: dict[str, Spoiled] = {
    "alg none": lambda _, claims, header, s: signed(claims, header, "", "none"),
    "alg none, old signature": lambda token, _, header, s: relabelled(token, header, "none"),
    "alg None in another case": lambda token, _, header, s: relabelled(token, header, "NonE"),
    "no signature": lambda token, *_: token.rpartition(".")[0] + ".",
    "HS256 with the public key": lambda _, claims, header, s: hmac_token(
        claims, json.dumps(DeviceTokens(s.token_key).jwks()).encode(), header.get("kid", "")
    ),
    "ES384": lambda _, claims, header, s: signed(
        claims, header, ec.generate_private_key(ec.SECP384R1()), "ES384"
    ),
    "RS256": lambda _, claims, header, s: signed(
        claims, header, rsa.generate_private_key(public_exponent=65537, key_size=2048), "RS256"
    ),
    "good signature called ES384": lambda token, _, header, s: relabelled(token, header, "ES384"),
    "another issuer's key": lambda _, claims, header, s: signed(claims, header, another_p256()),
    "another issuer's key in the header": lambda _, claims, header, s: signed(
        claims, header | {"jwk": {"kty": "EC"}, "jku": "https://elsewhere.example/jwks"}, another_p256()
    ),
    "another subject": lambda token, claims, *_: tampered(token, claims | {"sub": "dev_" + "0" * 26}),
    "a later end": lambda token, claims, *_: tampered(token, claims | {"exp": claims["exp"] + 86_400}),
    "another audience": lambda _, claims, header, s: signed(
        claims | {"aud": "meteor-user"}, header, s.token_key
    ),
    "no audience": lambda _, claims, header, s: signed(
        {name: value for name, value in claims.items() if name != "aud"}, header, s.token_key
    ),
    "another kind": lambda _, claims, header, s: signed(claims, header | {"typ": "JWT"}, s.token_key),
    "ended": lambda _, claims, header, s: signed(claims | {"exp": claims["iat"] - 1}, header, s.token_key),
    "no end": lambda _, claims, header, s: signed(
        {name: value for name, value in claims.items() if name != "exp"}, header, s.token_key
    ),
}
"""By what is wrong with it: (good token, its claims, its header, the cloud's keys) to a spoiled one."""


def spoiled(good: str, secrets: Secrets, kind: str) -> str:
    claims = jwt.decode(good, options={"verify_signature": False})
    return SPOILED[kind](good, claims, jwt.get_unverified_header(good), secrets)


async def opens(door: str, cloud: Cloud, ada: Person, token: str) -> bool:
    """Whether a person's door lets this token in."""
    if door == "registration":
        return (await register(cloud, token)).status == 200
    if door == "bearer":
        return (await program(cloud, token).send("GET", "/v1/devices")).status == 200
    headers = {**ada.headers, "Cookie": f"session={token}"}
    return (await Person("", cloud.base, cloud.session, headers).send("GET", "/v1/devices")).status == 200


async def test_no_spoiled_device_token_opens_the_stations_connection(cloud: Cloud, secrets: Secrets) -> None:
    station, good = await with_token(cloud, await cloud.person())
    for kind in SPOILED:
        socket = await opened(station)
        await told(socket, "auth", token=spoiled(good, secrets, kind))
        assert await ended(socket) == stations.NO_TOKEN, kind
    await (await connected(station, good)).close()


async def test_no_spoiled_registration_token_registers(cloud: Cloud, secrets: Secrets) -> None:
    ada = await cloud.person()
    good = await jwt_of(ada)
    for kind in SPOILED:
        reply = await register(cloud, spoiled(good, secrets, kind))
        expected = (410, "REG-002") if kind == "ended" else (401, "REG-004")
        assert (reply.status, reply.problem.code) == expected, kind
    assert await opens("registration", cloud, ada, good)


@pytest.mark.parametrize("door", ["registration", "bearer", "cookie"])
async def test_no_token_opens_a_door_that_it_was_not_made_for(cloud: Cloud, door: str) -> None:
    ada = await cloud.person()
    _, device = await with_token(cloud, ada)
    tokens = {
        "registration": await jwt_of(ada),
        "bearer": await made(ada, "read"),
        "cookie": ada.headers["Cookie"].partition("=")[2],
        "device": device,
        "claim": (await ada.token())["claim_token"],
    }
    opened_by = {kind for kind, token in tokens.items() if await opens(door, cloud, ada, token)}
    assert opened_by == {door}


@pytest.mark.parametrize("door", ["bearer", "cookie"])
async def test_a_persons_token_with_one_letter_changed_opens_nothing(cloud: Cloud, door: str) -> None:
    ada = await cloud.person()
    good = await made(ada, "read") if door == "bearer" else ada.headers["Cookie"].partition("=")[2]
    for at in (0, len(good) // 2, len(good) - 1):
        changed = good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :]
        assert not await opens(door, cloud, ada, changed), at
    for changed in (good[:-1], good + "A", good.swapcase(), "", "null"):
        assert not await opens(door, cloud, ada, changed), changed
    assert await opens(door, cloud, ada, good)


async def test_a_token_that_was_denied_ends_its_open_connection_at_the_next_word(cloud: Cloud) -> None:
    station, token = await with_token(cloud, await cloud.person())
    socket = await connected(station, token)
    await deny(cloud.database, cloud.app[keys.TOKENS].verify(token, cloud.clock.now_ms))
    await told(socket, "ping")
    assert await ended(socket) == stations.REVOKED


async def test_a_suspended_accounts_registration_token_registers_nothing_from_its_next_use_on(
    cloud: Cloud,
) -> None:
    ada = await cloud.person()
    token = await jwt_of(ada)
    assert (await register(cloud, token)).status == 200
    mine = schema.account.c.id == ada.account_id
    await cloud.database.write(
        lambda c: c.execute(update(schema.account).where(mine).values(suspended=1)).close()
    )
    reply = await register(cloud, token, "CPU_00000000a1b2c3d5")
    assert (reply.status, reply.reason) == (401, "bad_token")


async def test_a_deleted_accounts_registration_token_registers_nothing(cloud: Cloud) -> None:
    ada = await cloud.person()
    token = await jwt_of(ada)
    assert (await ada.send("POST", "/v1/account/delete", {"password": PASSWORD})).status == 204
    reply = await register(cloud, token)
    assert (reply.status, reply.reason) == (401, "bad_token")
