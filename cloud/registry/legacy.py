"""The older ways to register, as thin doors to the one kind of claim: hardware id with a JWT, name and place.

The first edge client has no key, so it can prove nothing. What it registers is a station of its person that
cannot send: it takes part once a station with a key on the same hardware claims and its owner says yes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, insert, select

from cloud.fleet.configuration import Configurations
from cloud.registry import fingerprints
from cloud.registry.claims import Claims
from cloud.security import audit
from cloud.security.limits import Limits
from cloud.store.engine import Database
from cloud.store.schema import account, device
from protocol.clock import from_unix
from protocol.codes import short_id, ulid
from protocol.errors import INVALID, Refusal
from protocol.limits import USER_CLAIMS
from protocol.messages import InitiateAnswer, InitiateRequest, Location
from protocol.registration_messages import (
    LegacyDevice,
    LegacyRegisterAnswer,
    LegacyRegisterRequest,
    NamedRegisterRequest,
    RegistrationToken,
)

AUDIENCE = "meteor-registration"
TYPE = "registration+jwt"
LIFE_S = 900
"""Life of a registration token (seed 001 §7.2)."""


class Legacy:
    """Registers for clients that know nothing of keys."""

    def __init__(
        self,
        database: Database,
        claims: Claims,
        configurations: Configurations,
        buckets: Limits,
        key: ec.EllipticCurvePrivateKey,
        pepper: bytes,
        unix_ms: Callable[[], int],
    ) -> None:
        self._db, self._claims, self._configurations, self._limits = database, claims, configurations, buckets
        self._key, self._pepper, self._unix_ms = key, pepper, unix_ms

    def token(self, account_id: str) -> RegistrationToken:
        """A JWT that registers and does nothing else: type and audience fit no other door."""
        now = self._unix_ms() // 1000
        claims = {"aud": AUDIENCE, "sub": account_id, "iat": now, "exp": now + LIFE_S}
        made = jwt.encode(claims, self._key, algorithm="ES256", headers={"typ": TYPE})
        return RegistrationToken(token=made, expires_in=LIFE_S, server_time=from_unix(float(now)))

    def account_of(self, token: str) -> str:
        """Whose token it is. Raises `Refusal` REG-004, or REG-002 when it is too old."""
        try:
            typ = jwt.get_unverified_header(token).get("typ")
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=["ES256"],
                audience=AUDIENCE,
                options={"require": ["aud", "sub", "exp"], "verify_exp": False, "verify_iat": False},
            )
        except jwt.PyJWTError:
            raise Refusal("REG-004", "bad_token", "This registration token does not hold.") from None
        if typ != TYPE:
            raise Refusal("REG-004", "bad_token", "This is no registration token.")
        if self._unix_ms() / 1000 >= claims["exp"]:
            raise Refusal("REG-002", "token_expired", "This registration token is too old. Get another.")
        return str(claims["sub"])

    async def register(self, account_id: str, request: LegacyRegisterRequest) -> LegacyRegisterAnswer:
        """A station of this hardware id. Raises REG-003 when the person has one, REG-004 when the account
        was deleted or suspended since its token was made, REG-006."""
        await self._limits.take("claims", account_id, USER_CLAIMS)
        now, hardware_id = self._unix_ms(), request.hardwareId.strip()
        if not hardware_id.isascii() or not hardware_id.isprintable() or not hardware_id:
            raise Refusal(
                "REG-007", INVALID, "A hardware id has letters, digits and signs.", field="$.hardwareId"
            )

        def change(connection: Connection) -> str | Refusal:
            if not _counts(connection, account_id):
                return Refusal("REG-004", "bad_token", "This registration token does not hold any more.")
            mine = (device.c.account_id == account_id) & (device.c.status != "released")
            same = device.c.hardware_id == hardware_id
            known = connection.execute(select(device).where(mine, same)).first()
            if known is not None:
                about = {
                    "id": known.id,
                    "name": known.name,
                    "hardwareId": hardware_id,
                    "status": known.status,
                }
                return Refusal(
                    "REG-003", "already_registered", "You registered this hardware already.", device=about
                )
            return self._make(connection, account_id, hardware_id, now)

        made = await self._db.write(change)
        if isinstance(made, Refusal):
            raise made
        shown = LegacyDevice(
            id=made,
            userProfileId=account_id,
            hardwareId=hardware_id,
            status="active",
            registeredAt=from_unix(now / 1000),
        )
        return LegacyRegisterAnswer(message="Device registered successfully", device=shown)

    def _make(self, connection: Connection, account_id: str, hardware_id: str, now_ms: int) -> str:
        device_id = ulid("dev_", now_ms)
        name = f"Station {hardware_id}"[:80]
        connection.execute(
            insert(device).values(
                id=device_id,
                account_id=account_id,
                epoch=1,
                hardware_id=hardware_id,
                short_id=short_id(device_id),
                name=name,
                status="active",
                created=now_ms,
            )
        )
        fingerprints.keep(
            connection, device_id, fingerprints.parts(self._pepper, {"hardware_id": hardware_id})
        )
        self._configurations.first(connection, device_id, name, None, now_ms)
        audit.record(connection, now_ms, f"person:{account_id}", "legacy_registered", device_id)
        return device_id

    async def named(self, account_id: str, request: NamedRegisterRequest) -> InitiateAnswer:
        """A claim opened by name and place; the answer has the token for the station."""
        place = request.location if isinstance(request.location, Location) else None
        words = request.location if isinstance(request.location, str) else ""
        name = f"{request.name}, {words}"[:80] if words.strip() else request.name
        return await self._claims.initiate(account_id, InitiateRequest(name=name, location=place))


def _counts(connection: Connection, account_id: str) -> bool:
    """Whether the account of a token, which cannot know, is still there and not suspended."""
    query = select(account.c.id).where(account.c.id == account_id, account.c.suspended.is_(None))
    return connection.execute(query).first() is not None
