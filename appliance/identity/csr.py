"""A certificate request (PKCS #10, RFC 2986) for a key that signs by itself, wherever it lies.

The library that reads certificates signs with its own keys only, so the little DER is put together here.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.signature import to_der

_INTEGER, _BIT_STRING, _SEQUENCE, _NO_ATTRIBUTES = 0x02, 0x03, 0x30, 0xA0
_ECDSA_WITH_SHA256 = bytes.fromhex("06082a8648ce3d040302")
"""The object identifier 1.2.840.10045.4.3.2 (RFC 5758 §3.2)."""


def certificate_request(name: str, public: ec.EllipticCurvePublicKey, sign: Callable[[bytes], bytes]) -> str:
    """A request in PEM for `CN=name`. `sign` gives 64 raw bytes r‖s and may block; its errors pass."""
    from cryptography import x509  # here because it is large, and only a claim and a renewal need it
    from cryptography.x509.oid import NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]).public_bytes()
    key = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    info = _element(_SEQUENCE, _element(_INTEGER, b"\0") + subject + key + _element(_NO_ATTRIBUTES, b""))
    algorithm = _element(_SEQUENCE, _ECDSA_WITH_SHA256)
    signature = _element(_BIT_STRING, b"\0" + to_der(sign(info)))
    return _pem(_element(_SEQUENCE, info + algorithm + signature))


def _element(tag: int, content: bytes) -> bytes:
    """One DER element (X.690 §8.1): tag, length, content."""
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def _pem(der: bytes) -> str:
    text = base64.b64encode(der).decode("ascii")
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    begin, end = (f"-----{word} CERTIFICATE REQUEST-----" for word in ("BEGIN", "END"))
    return "\n".join([begin, *lines, end, ""])
