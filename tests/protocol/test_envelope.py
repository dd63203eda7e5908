"""Signed configurations: what a device applies, and every reason for which it refuses."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocol.envelope import (
    Envelope,
    EnvelopeRefused,
    open_config,
    pre_authentication_encoding,
    seal,
)

KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
PINNED = {"k1": KEY.public_key()}


@dataclass(frozen=True)
class Wish:
    device_id: str = "dev_1"
    epoch: int = 1
    version: int = 5


def sealed(wish: Wish = Wish(), key: Ed25519PrivateKey = KEY, keyid: str = "k1") -> Envelope:
    payload = {
        "device_id": wish.device_id,
        "epoch": wish.epoch,
        "version": wish.version,
        "issued_at": "2026-01-01T00:00:00.000Z",
        "desired": {"device": {"name": "Roof"}},
    }
    return seal(msgspec.json.encode(payload), keyid, key)


def opened(envelope: Envelope, applied: int = 4) -> int:
    return open_config(envelope, PINNED, device_id="dev_1", epoch=1, applied=applied).version


def test_the_encoding_is_that_of_dsse() -> None:
    """The example of the DSSE specification."""
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pre_authentication_encoding("http://example.com/HelloWorld", b"hello world") == expected


def test_a_newer_and_the_same_version_open() -> None:
    assert opened(sealed()) == 5
    assert opened(sealed(), applied=5) == 5


@pytest.mark.parametrize(
    ("envelope", "applied", "reason"),
    [
        (sealed(), 6, "rollback"),
        (sealed(Wish(device_id="dev_2")), 4, "wrong_device"),
        (sealed(Wish(epoch=2)), 4, "wrong_epoch"),
        (sealed(key=Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)), 4, "bad_signature"),
        (sealed(keyid="k2"), 4, "bad_signature"),
        (msgspec.structs.replace(sealed(), payloadType="text/plain"), 4, "wrong_type"),
        (msgspec.structs.replace(sealed(), payload="***"), 4, "damaged"),
        (msgspec.structs.replace(sealed(), signatures=[]), 4, "bad_signature"),
        (seal(b"not json", "k1", KEY), 4, "damaged"),
    ],
)
def test_an_envelope_is_refused_with_its_reason(envelope: Envelope, applied: int, reason: str) -> None:
    with pytest.raises(EnvelopeRefused) as refusal:
        opened(envelope, applied)
    assert refusal.value.reason == reason


def test_every_changed_byte_of_the_payload_is_noticed() -> None:
    envelope = sealed()
    payload = base64.b64decode(envelope.payload)
    for position in range(len(payload)):
        changed = bytearray(payload)
        changed[position] ^= 1
        forged = msgspec.structs.replace(envelope, payload=base64.b64encode(bytes(changed)).decode())
        with pytest.raises(EnvelopeRefused) as refusal:
            opened(forged)
        assert refusal.value.reason == "bad_signature"


def test_one_good_signature_among_strangers_is_enough() -> None:
    good, strange = sealed(), sealed(key=Ed25519PrivateKey.from_private_bytes(b"\x03" * 32), keyid="k9")
    both = msgspec.structs.replace(good, signatures=[*strange.signatures, *good.signatures])
    assert opened(both) == 5
