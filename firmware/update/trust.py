"""Whom a station believes: the root document, its chain, and manifests that its release keys signed. Pure.

1. Nothing in a payload is read before enough keys of the *trusted* root signed its exact bytes.
2. Root N+1 is signed by the threshold of N and by its own threshold, and its number is N+1.
3. A root that has ended may still lead to its successor: only the last one's end counts (TUF 5.3.10), so a
   station that slept for years finds its way.
4. No rule needs a clock. The end of a root or manifest counts only where the time is trusted.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Meta

from firmware.update.manifest import MANIFEST_TYPE, MOST_BYTES, Manifest, Moment, parse_manifest
from firmware.update.reasons import Refused, because
from protocol.clock import parse
from protocol.envelope import Envelope, EnvelopeRefused, unseal

ROOT_TYPE = "application/vnd.meteor.root+json"
LONGEST_CHAIN = 64
"""New roots in one go; a maker who changes keys every month needs as many in five years."""


def root_name(version: int) -> str:
    """The file name of a root document beside the manifest."""
    return f"{version}.root.json"


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """Which keys speak, and how many of them together."""

    keyids: Annotated[tuple[str, ...], Meta(min_length=1, max_length=16)]
    threshold: Annotated[int, Meta(ge=1, le=16)]


class RootDocument(msgspec.Struct, frozen=True, kw_only=True):
    """`keys` are Ed25519 public keys in base64, by name."""

    version: Annotated[int, Meta(ge=1, le=1 << 31)]
    expires_at: Moment
    keys: Annotated[dict[str, str], Meta(min_length=1, max_length=32)]
    root: Role
    release: Role


@dataclass(frozen=True, slots=True)
class Root:
    """A root document that is believed, with the bytes it came in."""

    document: RootDocument
    envelope: bytes

    def keys(self, role: Role) -> Mapping[str, Ed25519PublicKey]:
        """The keys of a role, by name."""
        return _keys(self.document, role)


@dataclass(frozen=True, slots=True)
class Floor:
    """What must not be gone below: of the security epoch, and of the manifest's number."""

    epoch: int = 0
    serial: int = 0


def anchor(data: bytes) -> Root:
    """The root that came with the program: believed because of where it lies, yet it must sign itself."""
    return Root(_document(_payload_unverified(data), data), data)


def next_root(trusted: Root, data: bytes) -> Root:
    """The successor of a trusted root. Raises `Refused`."""
    envelope = _envelope(data)
    payload = _unseal(envelope, trusted.keys(trusted.document.root), ROOT_TYPE, trusted.document.root)
    document = _document(payload, data)
    if document.version != trusted.document.version + 1:
        text = f"it is number {document.version}, and {trusted.document.version + 1} comes next"
        raise Refused(because("UPD-002", detail=text))
    return Root(document, data)


def verify(data: bytes, trusted: Root, floor: Floor, now: datetime | None) -> Manifest:
    """The manifest in an envelope. `now` is None where the time is not trusted. Raises `Refused`."""
    envelope = _envelope(data)
    role = trusted.document.release
    manifest = parse_manifest(_unseal(envelope, trusted.keys(role), MANIFEST_TYPE, role))
    if now is not None:
        for ends in (parse(trusted.document.expires_at), manifest.expires):
            if now >= ends:
                raise Refused(because("UPD-004", date=f"{ends:%Y-%m-%d}"))
    if manifest.epoch < floor.epoch or manifest.serial < floor.serial:
        raise Refused(because("UPD-005", version=manifest.version))
    return manifest


def _envelope(data: bytes) -> Envelope:
    if len(data) > MOST_BYTES:
        raise Refused(because("UPD-003", field="$", detail=f"it has more than {MOST_BYTES} bytes"))
    try:
        return msgspec.json.decode(data, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(because("UPD-002", detail=str(error))) from None


def _payload_unverified(data: bytes) -> bytes:
    try:
        return base64.b64decode(_envelope(data).payload, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(because("UPD-002", detail="the payload is not base64")) from None


def _unseal(envelope: Envelope, keys: Mapping[str, Ed25519PublicKey], payload_type: str, role: Role) -> bytes:
    try:
        return unseal(envelope, keys, payload_type, role.threshold)
    except EnvelopeRefused as error:
        raise Refused(because("UPD-002", detail=str(error))) from None


def _document(payload: bytes, data: bytes) -> RootDocument:
    """The root in a payload, which its own keys must have signed as well."""
    try:
        document = msgspec.json.decode(payload, type=RootDocument)
        parse(document.expires_at)
    except (ValueError, UnicodeDecodeError) as error:
        raise Refused(because("UPD-003", field="root", detail=str(error))) from None
    for name, role in (("root", document.root), ("release", document.release)):
        if len({key.public_bytes_raw() for key in _keys(document, role).values()}) < role.threshold:
            detail = "it names fewer keys than its threshold"
            raise Refused(because("UPD-003", field=f"{name}.keyids", detail=detail))
    _unseal(_envelope(data), _keys(document, document.root), ROOT_TYPE, document.root)
    return document


def _keys(document: RootDocument, role: Role) -> dict[str, Ed25519PublicKey]:
    try:
        return {
            keyid: Ed25519PublicKey.from_public_bytes(base64.b64decode(document.keys[keyid], validate=True))
            for keyid in role.keyids
        }
    except (KeyError, ValueError) as error:
        detail = f"a key is missing or no Ed25519 key ({error})"
        raise Refused(because("UPD-003", field="keys", detail=detail)) from None
