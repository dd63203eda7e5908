"""Identifiers and human codes: how each is made, normalised and compared. Randomness is `secrets`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

CONSONANTS = "BCDFGHJKLMNPQRSTVWXZ"
"""Twenty letters that make no words and have no look-alikes among digits (RFC 8628 §6.1)."""

_QR = "METEOR1"
"""How the text of a claim token's QR code begins; address, token and pin follow, between bars."""

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SEPARATORS = re.compile(r"[\s\-‐‑–—]+")


class CodeRefused(ValueError):
    """A typed code that cannot be one; `reason` says what is wrong with it in one sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def base64url(data: bytes) -> str:
    """Base64url without padding (RFC 4648 §5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """Inverse of `base64url`; raises `ValueError` for anything else."""
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise ValueError("not base64url")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def ulid(prefix: str, unix_ms: int) -> str:
    """A sortable identifier: prefix, 48 bits of time in ms, 80 random bits (ULID)."""
    value = (unix_ms & ((1 << 48) - 1)) << 80 | secrets.randbits(80)
    return prefix + "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))


def uuid7(unix_ms: int) -> str:
    """A UUID version 7 (RFC 9562 §5.7) from a time in ms and 74 random bits."""
    value = (unix_ms & ((1 << 48) - 1)) << 80 | 7 << 76 | secrets.randbits(12) << 64
    value |= 0b10 << 62 | secrets.randbits(62)
    digits = f"{value:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def short_id(keyid: str) -> str:
    """Six letters that a person can read aloud, derived from a key's thumbprint. A name, not a secret."""
    number = int.from_bytes(hashlib.sha256(keyid.encode("ascii")).digest()[:16], "big")
    letters = []
    for _ in range(6):
        number, index = divmod(number, len(CONSONANTS))
        letters.append(CONSONANTS[index])
    return "".join(letters)


def new_pin() -> str:
    """Six random digits; worth something only together with a short id and five tries."""
    return f"{secrets.randbelow(10**6):06d}"


def new_link_secret() -> str:
    """128 random bits for the fragment of the claim link."""
    return base64url(secrets.token_bytes(16))


def new_claim_token() -> str:
    """A one-use claim token with 256 random bits."""
    return "mct_" + base64url(secrets.token_bytes(32))


def parse_pin(text: str) -> str:
    """Six digits from what a person typed. Spaces and dashes go; any other character is refused."""
    digits = _SEPARATORS.sub("", text.strip())
    if not re.fullmatch(r"[0-9]{6}", digits):
        raise CodeRefused("The PIN has six digits, like 123 456.")
    return digits


def parse_short_id(text: str) -> str:
    """Six letters of `CONSONANTS`, in any case, with or without spaces and dashes.

    The SSID form `Meteor-BCDFGH` is accepted too, because that is what stands on the phone.
    """
    letters = _SEPARATORS.sub("", text.strip()).upper().removeprefix("METEOR")
    if len(letters) != 6 or any(letter not in CONSONANTS for letter in letters):
        raise CodeRefused("The short id has six letters, without vowels and Y, like BCD FGH.")
    return letters


@dataclass(frozen=True)
class ClaimCode:
    """A claim token, and if known the pin of the cloud that gave it: SHA-256 in hex of its root's key."""

    token: str = field(repr=False)
    ca_pin: str | None = None

    @property
    def text(self) -> str:
        """What `parse_claim_code` reads again."""
        return f"{_QR}||{self.token}|{self.ca_pin}" if self.ca_pin else self.token


def parse_claim_code(text: str) -> ClaimCode:
    """What a person typed, pasted or scanned: a token, or the text of the QR code, which has a pin.

    Raises `CodeRefused`, also for a QR text that was cut: without its pin it would prove less.
    """
    written = text.strip()
    if not written.startswith(f"{_QR}|"):
        return ClaimCode(parse_claim_token(written))
    _, _base, token, pin = [*written.split("|"), "", "", ""][:4]
    if not is_pin(pin):
        raise CodeRefused("The claim code is cut short. Copy it whole from your account.")
    return ClaimCode(parse_claim_token(token), pin.lower())


def is_pin(text: str) -> bool:
    """Whether this is a SHA-256 in hex."""
    return re.fullmatch(r"[0-9A-Fa-f]{64}", text) is not None


def parse_claim_token(text: str) -> str:
    """A claim token alone. Raises `CodeRefused`."""
    token = text.strip()
    if not re.fullmatch(r"mct_[A-Za-z0-9_-]{43}", token):
        raise CodeRefused(
            "A claim code starts with mct_ and has 47 characters. Copy it whole from your account."
        )
    return token


def claim_text(cloud_base: str, token: str, ca_pin: str) -> str:
    """What the QR code of a claim token says: with the pin of the cloud, so that no other cloud gets it."""
    return f"{_QR}|{cloud_base}|{token}|{ca_pin}"


def parse_link_secret(text: str) -> str:
    """The secret part of a claim link; raises `CodeRefused` when it is cut or changed."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{22}", text):
        raise CodeRefused("The link is not complete. Scan the code again, or type the short id and the PIN.")
    return text


def claim_link(cloud_base: str, short: str, link_secret: str) -> str:
    """What the QR code says. The secret stands in the fragment, so that it reaches no server log."""
    return f"{cloud_base.rstrip('/')}/claim#{short}.{link_secret}"


def secret_hash(secret: str) -> str:
    """SHA-256 in hex, for secrets with enough entropy to need no pepper (claim and session tokens).

    Bytes that are no text, as a header may bring them, are hashed as they are: they are just a wrong secret.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def code_mac(pepper: bytes, purpose: str, *parts: str) -> str:
    """HMAC-SHA-256 in hex of a low-entropy code, bound to its purpose. Parts are length-prefixed."""
    mac = hmac.new(pepper, digestmod=hashlib.sha256)
    for part in (purpose, *parts):
        data = part.encode("utf-8")
        mac.update(len(data).to_bytes(4, "big") + data)
    return mac.hexdigest()


def same_secret(one: str, other: str) -> bool:
    """Compares in constant time."""
    return hmac.compare_digest(
        one.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape")
    )
