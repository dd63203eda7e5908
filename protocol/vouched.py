"""The cloud's keys as its root vouches for them: a station that knows one hash can believe all others. Pure.

The hash is the pin: SHA-256 of the root's public key, which lasts for twenty years. From it the way leads
over an intermediate, which may be exchanged at any time, to a certificate for each configuration key, and
from there to the signed set of keys. Dates are not judged: this is read by stations that know no time yet.

1. Nothing is believed that does not lead to a pinned root.
2. A station's certificate vouches for no key: only Ed25519 keys with a name of their own kind count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from protocol.envelope import EnvelopeRefused
from protocol.timestamp import KeysAnswer, KeySet, open_keys

KEY_NAME = "urn:meteor:config-key:"
"""How the certificate of a configuration key names it; the rest is its key id."""
_MOST = 16
"""Certificates that are looked at in one text."""


class NotVouched(Exception):
    """What is shown does not lead to a pinned root; the text says where the way ends."""


def pin_of(certificate: x509.Certificate) -> str:
    """SHA-256 in hex of a certificate's public key."""
    encoded = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(encoded).hexdigest()


def pin_of_pem(pem: str) -> str:
    """The pin of the first certificate in a PEM text, where the root stands. Raises `ValueError`."""
    return pin_of(x509.load_pem_x509_certificate(pem.encode("ascii")))


def open_vouched(answer: KeysAnswer, pins: Collection[str]) -> KeySet:
    """The set of keys, if a pinned root vouches for one that signed it. Raises `NotVouched`."""
    intermediates = _intermediates(answer.ca_certificate, pins)
    keys: dict[str, Ed25519PublicKey] = {}
    for pem in answer.vouchers[:_MOST]:
        for certificate in _certificates(pem):
            key = certificate.public_key()
            if isinstance(key, Ed25519PublicKey) and _is_issued_by_one(certificate, intermediates):
                keys |= {name: key for name in _key_ids(certificate)}
    if not keys:
        raise NotVouched("the root vouches for none of its keys")
    try:
        found = open_keys(answer.envelope, keys, -1)
    except EnvelopeRefused as refusal:
        raise NotVouched(str(refusal)) from None
    if found is None:
        raise NotVouched("the set of keys has no version")
    return found


def check_leaf(chain_pem: str, ca_pem: str, pins: Collection[str], own_key: bytes) -> None:
    """The first certificate of `chain_pem` is for `own_key` (SubjectPublicKeyInfo in DER) and leads to a
    pinned root. Raises `NotVouched`."""
    leaf = next(iter(_certificates(chain_pem)), None)
    if leaf is None or pin_of(leaf) != hashlib.sha256(own_key).hexdigest():
        raise NotVouched("the certificate is not for this station's key")
    if not _is_issued_by_one(leaf, _intermediates(ca_pem, pins)):
        raise NotVouched("the certificate was not issued under the root")


def _intermediates(pem: str, pins: Collection[str]) -> list[x509.Certificate]:
    found = _certificates(pem)
    root = next((each for each in found if pin_of(each) in pins), None)
    if root is None:
        raise NotVouched("its root is another one")
    return [each for each in found if _may_issue(each) and _is_issued_by_one(each, [root])]


def _certificates(pem: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem.encode("ascii"))[:_MOST]
    except ValueError:  # also what is not ASCII
        return []


def _may_issue(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _is_issued_by_one(certificate: x509.Certificate, issuers: list[x509.Certificate]) -> bool:
    for issuer in issuers:
        try:
            certificate.verify_directly_issued_by(issuer)
        except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
            continue
        return True
    return False


def _key_ids(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return [uri.removeprefix(KEY_NAME) for uri in uris if uri.startswith(KEY_NAME)]
