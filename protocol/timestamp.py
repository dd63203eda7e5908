"""The signed time of `GET /time` and the signed set of the cloud's keys: encoding, signing, checking. Pure.

Both are read before anything else can be trusted, also over plain HTTP. So they carry their own signatures by
keys that the station pinned: the time is fresh by the nonce that the station chose, the set of keys by a
number that only goes up.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocol.codes import base64url, from_base64url
from protocol.envelope import Envelope, EnvelopeRefused, unseal
from protocol.messages import Answer, ConfigKey

KEYS_TYPE = "application/vnd.meteor.keys+json"
_CONTEXT = b"meteor-time-v1\0"
_NONCE = re.compile(r"[A-Za-z0-9_-]{22}")
"""16 bytes in base64url."""


class TimeSignature(msgspec.Struct, kw_only=True):
    """One signature of a time; `sig` is in base64url."""

    key_id: str
    sig: str


class KeySet(Answer):
    """What an envelope of type `KEYS_TYPE` holds: the keys that count from now on, the present ones first.

    `version` only goes up.
    """

    version: int
    config_keys: list[ConfigKey]
    time_keys: list[ConfigKey]


class KeysAnswer(Answer):
    """GET /v1/keys: the set, signed by every configuration key that the cloud holds.

    `vouchers` are certificates for these keys and `ca_certificate` is their way to the root, all in PEM, for
    a station that knows nothing but the root's hash (`protocol/vouched.py`).
    """

    envelope: Envelope
    server_time: str
    ca_certificate: str = ""
    vouchers: list[str] = []


class SignedTime(Answer):
    """GET /time?nonce=: ms since 1970, and by how much that may be wrong.

    `key_id` and `sig` are those of the present key; `more` has the keys that will be, or were, in its place.
    `keys` is there with `proof=1` in the question, for a station that has pinned the root alone.
    """

    server_time_ms: int
    radius_ms: int
    nonce: str
    key_id: str
    sig: str
    more: list[TimeSignature] = []
    keys: KeysAnswer | None = None


class TimeRefused(Exception):
    """A time that proves nothing: no pinned key signed it, or it answers another question."""


def is_nonce(text: str) -> bool:
    """Whether this is what a station may ask with."""
    return _NONCE.fullmatch(text) is not None


def signed_bytes(server_time_ms: int, radius_ms: int, nonce: str) -> bytes:
    """What is signed: a fixed beginning, so that the signature serves for nothing else, and all fields."""
    return _CONTEXT + f"{server_time_ms}\n{radius_ms}\n{nonce}".encode("ascii")


def sign_time(
    server_time_ms: int, radius_ms: int, nonce: str, keys: Mapping[str, Ed25519PrivateKey]
) -> SignedTime:
    """The answer, signed by each of `keys` (at least one, the present one first)."""
    message = signed_bytes(server_time_ms, radius_ms, nonce)
    made = [TimeSignature(key_id=kid, sig=base64url(key.sign(message))) for kid, key in keys.items()]
    return SignedTime(
        server_time_ms=server_time_ms,
        radius_ms=radius_ms,
        nonce=nonce,
        key_id=made[0].key_id,
        sig=made[0].sig,
        more=made[1:],
    )


def check_time(answer: SignedTime, nonce: str, pinned: Mapping[str, Ed25519PublicKey]) -> float:
    """Seconds since 1970. Raises `TimeRefused`."""
    if answer.nonce != nonce:
        raise TimeRefused("The time answers another question.")
    if not 0 < answer.server_time_ms < 1e14 or not 0 <= answer.radius_ms < 60_000:
        raise TimeRefused("The time is none.")
    message = signed_bytes(answer.server_time_ms, answer.radius_ms, nonce)
    found = [TimeSignature(key_id=answer.key_id, sig=answer.sig), *answer.more[:8]]
    if not any(_holds(pinned.get(each.key_id), each.sig, message) for each in found):
        raise TimeRefused("No pinned key signed the time.")
    return answer.server_time_ms / 1000


def _holds(key: Ed25519PublicKey | None, signature: str, message: bytes) -> bool:
    if key is None:
        return False
    try:
        key.verify(from_base64url(signature), message)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def public_keys(keys: list[ConfigKey]) -> dict[str, Ed25519PublicKey]:
    """Keys as they are pinned, by their ids. Raises `ValueError` for what is no key."""
    return {key.kid: Ed25519PublicKey.from_public_bytes(from_base64url(key.x)) for key in keys}


def open_keys(envelope: Envelope, pinned: Mapping[str, Ed25519PublicKey], known: int) -> KeySet | None:
    """The set, if a pinned configuration key signed it and it is newer than `known`; None for the same.

    Raises `EnvelopeRefused` with wrong_type, damaged, bad_signature or rollback.
    """
    payload = unseal(envelope, pinned, KEYS_TYPE)
    try:
        found = msgspec.json.decode(payload, type=KeySet)
        public_keys([*found.config_keys, *found.time_keys])
    except (msgspec.MsgspecError, ValueError) as error:
        raise EnvelopeRefused("damaged", f"The keys cannot be read: {error}") from None
    if not found.config_keys:
        raise EnvelopeRefused("damaged", "The set of keys is empty.")
    if found.version < known:
        raise EnvelopeRefused("rollback", f"Version {found.version} is older than {known}.")
    return found if found.version > known else None
