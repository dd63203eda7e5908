"""Signed configuration: DSSE envelopes over exact bytes with Ed25519, and what a device must check. Pure.

Invariants: nothing in the payload is looked at before a signature by a pinned key was verified; the payload
names the device and its ownership epoch; a version never goes back.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

CONFIG_TYPE = "application/vnd.meteor.config+json"


class EnvelopeRefused(Exception):
    """An envelope that must not be applied; `reason` is a stable word."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class EnvelopeSignature(msgspec.Struct, kw_only=True):
    """One signature of an envelope."""

    keyid: str
    sig: str


class Envelope(msgspec.Struct, kw_only=True):
    """A DSSE envelope: type, base64 payload, signatures."""

    payloadType: str
    payload: str
    signatures: list[EnvelopeSignature]


class ConfigPayload(msgspec.Struct, kw_only=True):
    """What the cloud wishes of one device, at one version."""

    device_id: str
    epoch: int
    version: int
    issued_at: str
    desired: msgspec.Raw


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed (DSSE v1, PAE)."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal(payload: bytes, keyid: str, key: Ed25519PrivateKey, payload_type: str = CONFIG_TYPE) -> Envelope:
    """Signs exact bytes."""
    return seal_by_all(payload, {keyid: key}, payload_type)


def seal_by_all(
    payload: bytes, keys: Mapping[str, Ed25519PrivateKey], payload_type: str = CONFIG_TYPE
) -> Envelope:
    """Signs exact bytes by each of several keys, so that who knows one of them can check."""
    message = pre_authentication_encoding(payload_type, payload)
    made = {keyid: base64.b64encode(key.sign(message)).decode("ascii") for keyid, key in keys.items()}
    return Envelope(
        payloadType=payload_type,
        payload=base64.b64encode(payload).decode("ascii"),
        signatures=[EnvelopeSignature(keyid=keyid, sig=signature) for keyid, signature in made.items()],
    )


def unseal(
    envelope: Envelope,
    keys: Mapping[str, Ed25519PublicKey],
    payload_type: str = CONFIG_TYPE,
    threshold: int = 1,
) -> bytes:
    """The payload, if `threshold` different pinned keys signed it. Raises `EnvelopeRefused`.

    Two names of one key count once, and so do two signatures of it.
    """
    if envelope.payloadType != payload_type:
        raise EnvelopeRefused("wrong_type", f"The envelope holds {envelope.payloadType!r}.")
    try:
        payload = base64.b64decode(envelope.payload, validate=True)
    except (binascii.Error, ValueError):
        raise EnvelopeRefused("damaged", "The payload is not base64.") from None
    message = pre_authentication_encoding(payload_type, payload)
    signers = {
        keys[entry.keyid].public_bytes_raw()
        for entry in envelope.signatures
        if _signed_by(keys.get(entry.keyid), entry.sig, message)
    }
    if len(signers) < max(threshold, 1):
        wanted = "No pinned key" if threshold <= 1 else f"Only {len(signers)} of {threshold} pinned keys"
        raise EnvelopeRefused("bad_signature", f"{wanted} signed this envelope.")
    return payload


def _signed_by(key: Ed25519PublicKey | None, signature: str, message: bytes) -> bool:
    if key is None:
        return False
    try:
        key.verify(base64.b64decode(signature, validate=True), message)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def open_config(
    envelope: Envelope, keys: Mapping[str, Ed25519PublicKey], *, device_id: str, epoch: int, applied: int
) -> ConfigPayload:
    """The configuration that may be applied on this device.

    `applied` is the version in force: a lower one is a roll-back and refused; the same one is returned and is
    a no-op for the caller. Raises `EnvelopeRefused` with wrong_type, damaged, bad_signature, wrong_device,
    wrong_epoch or rollback.
    """
    payload = unseal(envelope, keys)
    try:
        config = msgspec.json.decode(payload, type=ConfigPayload)
    except msgspec.MsgspecError as error:
        raise EnvelopeRefused("damaged", f"The payload cannot be read: {error}") from None
    if config.device_id != device_id:
        raise EnvelopeRefused("wrong_device", "The configuration was made for another device.")
    if config.epoch != epoch:
        raise EnvelopeRefused("wrong_epoch", "The configuration belongs to another ownership of this device.")
    if config.version < applied:
        raise EnvelopeRefused("rollback", f"Version {config.version} is older than the applied {applied}.")
    return config
