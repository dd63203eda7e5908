"""How a password is judged, hashed and verified: argon2id with parameters that may grow. No accounts here."""

from __future__ import annotations

import secrets
import unicodedata
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHash, VerificationError

SHORTEST = 10
"""Length says more than composition rules (NIST SP 800-63B §5.1.1)."""
LONGEST = 256

_COMMON = frozenset(
    (
        "1234567890",
        "0123456789",
        "12345678910",
        "password12",
        "password123",
        "passwordpassword",
        "qwertyuiop",
        "qwertzuiop",
        "1q2w3e4r5t",
        "iloveyou123",
        "letmein1234",
        "administrator",
        "raspberrypi",
        "meteorstation",
    )
)


@dataclass(frozen=True)
class Cost:
    """argon2id parameters, memory in KiB. The defaults are the second choice of RFC 9106 §4: small hosts."""

    time: int = 3
    memory_kib: int = 65536
    lanes: int = 4


@dataclass(frozen=True)
class Verdict:
    """`renewed` is a fresh hash, present when the password was right and the stored parameters are old."""

    right: bool
    renewed: str | None = None


class Passwords:
    """Makes and checks hashes. Slow on purpose (tens of ms, `memory_kib` of memory): call it in a thread."""

    def __init__(self, cost: Cost | None = None) -> None:
        cost = cost or Cost()
        self._hasher = PasswordHasher(
            time_cost=cost.time, memory_cost=cost.memory_kib, parallelism=cost.lanes
        )
        # An unknown account costs one verification too, or its absence could be measured.
        self._nobody = self._hasher.hash(secrets.token_urlsafe(24))

    def hash(self, password: str) -> str:
        """The hash to store, with its parameters and salt inside."""
        return self._hasher.hash(_normal(password))

    def check(self, stored: str | None, password: str) -> Verdict:
        """Whether the password belongs to the stored hash; None stands for an account that does not exist."""
        try:
            self._hasher.verify(stored or self._nobody, _normal(password))
        except (VerificationError, InvalidHash):
            return Verdict(False)
        if stored is None:
            return Verdict(False)
        outdated = self._hasher.check_needs_rehash(stored)
        return Verdict(True, self.hash(password) if outdated else None)


def weakness(password: str, *about: str) -> str | None:
    """Why a new password is refused, in one sentence, or None. `about` are words a guesser tries first."""
    plain = _normal(password)
    if len(plain) < SHORTEST:
        return f"Use at least {SHORTEST} characters. A few words in a row are easy to remember."
    if len(plain) > LONGEST:
        return f"Use at most {LONGEST} characters."
    lowered = plain.casefold()
    if lowered in _COMMON or len(set(lowered)) < 4:
        return "This password is among the first that are guessed. Choose another."
    if any(lowered == word.casefold() for word in about if word):
        return "Do not use your name or address as the password."
    return None


def _normal(password: str) -> str:
    # The same letters typed on another keyboard may arrive composed differently (RFC 8265 §4).
    return unicodedata.normalize("NFKC", password)
