"""HTTP message signatures in the profile `meteor-v1` (RFC 9421, RFC 9530): signing and verifying. Pure.

Invariants of `verify`, in the order in which they are checked:
 1. exactly one signature carries our tag, with every parameter present and none beside them;
 2. the covered components are exactly the profile's list for this request;
 3. header values are within their size;
 4. the key is known to the caller (`parse` hands out the keyid, the caller looks it up);
 5. |now − created| ≤ 300 s, checked for the answer's reason only after the signature held;
 6. the digest is that of the body as received;
 7. the signature is 64 raw bytes r‖s and verifies;
 8. the nonce was not used before (`ReplayWindow`).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from protocol import errors
from protocol.codes import base64url
from protocol.limits import CLOCK_TOLERANCE_S, SIGNATURE_LIFE_S

ALGORITHM = "ecdsa-p256-sha256"
TAG = "meteor-v1"
LABEL = "meteor"
MAX_HEADER = 2048

Signer = Callable[[bytes], bytes]
"""ECDSA P-256 over SHA-256 of what is given: 64 raw bytes r‖s."""

_BASE_COMPONENTS = ("@method", "@authority", "@path", "@query")
_BODY_COMPONENTS = ("content-type", "content-digest")
_PARAMETERS = {"created", "expires", "nonce", "keyid", "alg", "tag"}
_NONCE = re.compile(r"(0|[1-9][0-9]{0,9})\.(0|[1-9][0-9]{0,18})")
_MEMBER = re.compile(
    r"([a-z*][a-z0-9_\-.*]*)="  # label
    r'(\((?:"[^"]*"(?: (?=")|(?=\))))*\)'  # inner list of component names
    r'((?:;[a-z*][a-z0-9_\-.*]*=(?:[0-9]+|"[^"\\]*"))*))'  # its parameters
)
_PARAMETER = re.compile(r';([a-z*][a-z0-9_\-.*]*)=(?:([0-9]+)|"([^"\\]*)")')


@dataclass(frozen=True)
class Request:
    """What a signature covers. `target` is path and query as sent; `headers` have lower-case names."""

    method: str
    authority: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    def component(self, name: str) -> str:
        """The value of a covered component (RFC 9421 §2). Raises KeyError for an absent header."""
        path, mark, query = self.target.partition("?")
        match name:
            case "@method":
                return self.method.upper()
            case "@authority":
                return normal_authority(self.authority)
            case "@path":
                return path or "/"
            case "@query":
                return mark + query if mark else "?"
            case _:
                return self.headers[name].strip()

    def covered(self) -> tuple[str, ...]:
        """The profile's list for this request."""
        components: tuple[str, ...] = _BASE_COMPONENTS
        if self.body:
            components += _BODY_COMPONENTS
        if "idempotency-key" in self.headers:
            components += ("idempotency-key",)
        return components


@dataclass(frozen=True)
class Parsed:
    """A signature read from headers, not yet verified. `boot` and `sequence` come from the nonce."""

    keyid: str
    created: int
    expires: int
    boot: int
    sequence: int
    parameters: str
    signature: bytes


def normal_authority(authority: str) -> str:
    """Lower case, without a default port (RFC 9421 §2.2.3)."""
    lowered = authority.lower()
    for default in (":80", ":443"):
        if lowered.endswith(default) and not lowered.endswith("]" + default[:-1]):
            return lowered.removesuffix(default)
    return lowered


def content_digest(body: bytes) -> str:
    """The `Content-Digest` of a body (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode('ascii')}:"


def thumbprint(key: ec.EllipticCurvePublicKey) -> str:
    """The keyid: JWK SHA-256 thumbprint of a P-256 key, base64url (RFC 7638)."""
    numbers = key.public_numbers()
    x, y = (base64url(value.to_bytes(32, "big")) for value in (numbers.x, numbers.y))
    jwk = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'
    return base64url(hashlib.sha256(jwk.encode("ascii")).digest())


def signer(key: ec.EllipticCurvePrivateKey) -> Signer:
    """Signs with a key in memory."""

    def sign_with(data: bytes) -> bytes:
        return to_raw(key.sign(data, ec.ECDSA(hashes.SHA256())))

    return sign_with


def to_raw(der: bytes) -> bytes:
    """The 64 raw bytes r‖s of a signature in DER."""
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def to_der(raw: bytes) -> bytes:
    """The DER of a signature of 64 raw bytes r‖s."""
    r, s = (int.from_bytes(half, "big") for half in (raw[:32], raw[32:]))
    return encode_dss_signature(r, s)


def sign(request: Request, signer: Signer, keyid: str, *, created: int, nonce: str) -> dict[str, str]:
    """Headers to add to a request: digest, signature and the two mirrors. `created` in seconds since 1970.

    What `signer` raises passes.
    """
    added = {"content-digest": content_digest(request.body)} if request.body else {}
    full = Request(
        request.method, request.authority, request.target, {**request.headers, **added}, request.body
    )
    parameters = _parameters(full.covered(), created, nonce, keyid)
    signature = signer(signature_base(full, full.covered(), parameters))
    encoded = base64.b64encode(signature).decode("ascii")
    return added | {
        "signature-input": f"{LABEL}={parameters}",
        "signature": f"{LABEL}=:{encoded}:",
        "x-request-timestamp": str(created),
        "x-device-signature": encoded,
    }


def _parameters(components: tuple[str, ...], created: int, nonce: str, keyid: str) -> str:
    names = " ".join(f'"{name}"' for name in components)
    return (
        f'({names});created={created};expires={created + SIGNATURE_LIFE_S};nonce="{nonce}"'
        f';keyid="{keyid}";alg="{ALGORITHM}";tag="{TAG}"'
    )


def signature_base(request: Request, components: tuple[str, ...], parameters: str) -> bytes:
    """The bytes that are signed (RFC 9421 §2.5)."""
    lines = [f'"{name}": {request.component(name)}' for name in components]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode("utf-8")


def parse(request: Request) -> Parsed:
    """Reads and checks everything that needs no key. Raises `errors.Refusal` REG-004."""
    parameters_text, label = _our_member(request.headers.get("signature-input", ""))
    components = tuple(re.findall(r'"([^"]*)"', parameters_text[: parameters_text.index(")")]))
    if components != request.covered():
        raise _refused("The signature does not cover exactly the components of the profile.")
    values = _read_parameters(parameters_text[parameters_text.index(")") + 1 :])
    nonce = _NONCE.fullmatch(values["nonce"])
    if values["alg"] != ALGORITHM or nonce is None or not re.fullmatch(r"[A-Za-z0-9_-]{43}", values["keyid"]):
        raise _refused("A parameter of the signature is not in the form of the profile.")
    created, expires = int(values["created"]), int(values["expires"])
    if expires != created + SIGNATURE_LIFE_S:
        raise _refused(f"`expires` must be `created` plus {SIGNATURE_LIFE_S} seconds.")
    signature = _signature_bytes(request.headers.get("signature", ""), label)
    _check_mirrors(request.headers, created, signature)
    return Parsed(values["keyid"], created, expires, int(nonce[1]), int(nonce[2]), parameters_text, signature)


def _our_member(header: str) -> tuple[str, str]:
    if not header or len(header) > MAX_HEADER:
        raise _refused("The request has no Signature-Input header of a reasonable size.")
    members = []
    position = 0
    while match := _MEMBER.match(header, position):
        members.append((match[2], match[1]))
        position = match.end()
        separator = re.compile(r"[ \t]*,[ \t]*").match(header, position)
        if not separator:
            break
        position = separator.end()
    if position != len(header):
        raise _refused("The Signature-Input header cannot be read.")
    ours = [member for member in members if f';tag="{TAG}"' in member[0]]
    if len(ours) != 1:
        raise _refused(f'Exactly one signature must carry tag="{TAG}".')
    return ours[0]


def _read_parameters(text: str) -> dict[str, str]:
    found = [(name, number or quoted) for name, number, quoted in _PARAMETER.findall(text)]
    values = dict(found)
    if len(found) != len(values) or set(values) != _PARAMETERS:
        raise _refused("The signature must carry created, expires, nonce, keyid, alg and tag, once each.")
    if not (values["created"].isdigit() and values["expires"].isdigit()) or len(values["created"]) > 12:
        raise _refused("`created` and `expires` are seconds since 1970.")
    return values


def _signature_bytes(header: str, label: str) -> bytes:
    if len(header) > MAX_HEADER:
        raise _refused("The Signature header is too long.")
    match = re.search(rf"(?:^|,)[ \t]*{re.escape(label)}=:([A-Za-z0-9+/]+={{0,2}}):[ \t]*(?:,|$)", header)
    if not match:
        raise _refused("The Signature header has no value for the signature's label.")
    try:
        raw = base64.b64decode(match[1], validate=True)
    except ValueError:
        raise _refused("The Signature header is not base64.") from None
    if len(raw) != 64:
        raise _refused("The signature must be 64 raw bytes (r and s), not DER.")
    return raw


def _check_mirrors(headers: Mapping[str, str], created: int, signature: bytes) -> None:
    timestamp, mirror = headers.get("x-request-timestamp"), headers.get("x-device-signature")
    if timestamp is not None and timestamp.strip() != str(created):
        raise _refused("X-Request-Timestamp differs from `created`.")
    if mirror is not None and mirror.strip() != base64.b64encode(signature).decode("ascii"):
        raise _refused("X-Device-Signature differs from the signature.")


def verify(parsed: Parsed, request: Request, key: ec.EllipticCurvePublicKey, *, now: float) -> None:
    """Verifies digest, signature and time window. Raises `errors.Refusal` REG-004 with the reason.

    The reason `clock_skew` is given only for a request whose signature holds, so that a device may trust it.
    """
    if request.body and request.headers.get("content-digest") != content_digest(request.body):
        raise _refused("Content-Digest is not the digest of the body.")
    base = signature_base(request, request.covered(), parsed.parameters)
    try:
        key.verify(to_der(parsed.signature), base, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise _refused("The signature does not belong to this request and this key.") from None
    if abs(now - parsed.created) > CLOCK_TOLERANCE_S:
        raise errors.Refusal("REG-004", errors.CLOCK_SKEW, "Request timestamp out of range.")


def _refused(detail: str) -> errors.Refusal:
    return errors.Refusal("REG-004", errors.BAD_SIGNATURE, detail)


class ReplayWindow(msgspec.Struct, frozen=True):
    """The highest nonce of a key and a bitmap of the 64 below it, as IPsec keeps it (RFC 4303 §3.4.3)."""

    boot: int = -1
    highest: int = -1
    bits: int = 0

    def accept(self, boot: int, sequence: int) -> ReplayWindow | None:
        """The window after this nonce, or None when it was used before or lies too far back."""
        if boot > self.boot:
            return ReplayWindow(boot, sequence, 1)
        if boot < self.boot:
            return None
        ahead = sequence - self.highest
        if ahead > 0:
            return ReplayWindow(boot, sequence, ((self.bits << ahead) | 1) & _WINDOW if ahead < 64 else 1)
        if ahead <= -64 or self.bits >> -ahead & 1:
            return None
        return ReplayWindow(boot, self.highest, self.bits | 1 << -ahead)


_WINDOW = (1 << 64) - 1
