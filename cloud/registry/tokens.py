"""Device tokens: short-lived JWTs that say which key a device proved. Issues and verifies; stores nothing."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.codes import base64url
from protocol.signature import thumbprint

AUDIENCE = "meteor-device"
TYPE = "device+jwt"
LIFE_S = 3600
_SKEW_S = 60


@dataclass(frozen=True)
class DeviceClaims:
    """What a valid token says."""

    device_id: str
    epoch: int
    keyid: str
    token_id: str
    ends: int
    """Seconds since 1970."""


class TokenRefused(Exception):
    """A token that proves nothing: forged, expired, or made for something else."""


class DeviceTokens:
    """ES256. Other kinds of token have another `typ` and `aud`: none serves for another.

    `previous` are keys that gave way to `key`: what they signed is good until it ends.
    """

    def __init__(
        self, key: ec.EllipticCurvePrivateKey, previous: Sequence[ec.EllipticCurvePrivateKey] = ()
    ) -> None:
        self._key = key
        self._public = {thumbprint(each.public_key()): each.public_key() for each in (key, *previous)}
        self.kid = thumbprint(key.public_key())

    def issue(self, device_id: str, epoch: int, keyid: str, certificate_sha256: str, now_ms: int) -> str:
        """A token for one hour, bound to the device's key and certificate (RFC 7800, RFC 8705)."""
        now = now_ms // 1000
        claims = {
            "aud": AUDIENCE,
            "sub": device_id,
            "epoch": epoch,
            "cnf": {"jkt": keyid, "x5t#S256": base64url(bytes.fromhex(certificate_sha256))},
            "iat": now,
            "nbf": now - _SKEW_S,
            "exp": now + LIFE_S,
            "jti": secrets.token_hex(16),
        }
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"typ": TYPE, "kid": self.kid})

    def verify(self, token: str, now_ms: int) -> DeviceClaims:
        """Raises `TokenRefused`. Times are judged by the server's clock as given."""
        try:
            header = jwt.get_unverified_header(token)
            claims = jwt.decode(
                token,
                self._public[header["kid"]],
                algorithms=["ES256"],
                audience=AUDIENCE,
                options={
                    "require": ["aud", "sub", "exp", "nbf", "jti"],
                    "verify_exp": False,  # PyJWT would read the system's clock
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
            if header.get("typ") != TYPE or not claims["nbf"] <= now_ms / 1000 < claims["exp"]:
                raise TokenRefused("The token is of another kind or has expired.")
            return DeviceClaims(
                claims["sub"], claims["epoch"], claims["cnf"]["jkt"], claims["jti"], claims["exp"]
            )
        except (jwt.PyJWTError, KeyError, TypeError) as error:
            raise TokenRefused(f"The token does not hold: {error}.") from None

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK set (RFC 7517), the present one first."""
        return {"keys": [_jwk(kid, key) for kid, key in self._public.items()]}


def _jwk(kid: str, key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    x, y = (base64url(value.to_bytes(32, "big")) for value in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "use": "sig", "alg": "ES256"}
