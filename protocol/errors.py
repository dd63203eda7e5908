"""Error codes of the registration protocol and the one error shape (RFC 9457). No page text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

PROBLEM_TYPE = "application/problem+json"


@dataclass(frozen=True)
class ErrorCode:
    """What a code means: HTTP status, a title, what the person does and what the system does."""

    code: str
    status: int
    title: str
    user_action: str
    system_action: str


_CODES = (
    ErrorCode(
        "REG-001",
        422,
        "Invalid device fingerprint",
        "Check that the hardware is supported.",
        "Logged and refused.",
    ),
    ErrorCode(
        "REG-002",
        410,
        "Registration expired",
        "Start the registration again.",
        "The pending record is removed.",
    ),
    ErrorCode(
        "REG-003",
        409,
        "Device already registered",
        "Use the existing device, or release it first.",
        "The owner is told which device it is.",
    ),
    ErrorCode(
        "REG-004",
        401,
        "Proof refused",
        "Check the code and try again.",
        "The failure is counted.",
    ),
    ErrorCode(
        "REG-005",
        504,
        "Network timeout",
        "Check the connection.",
        "Retried with back-off.",
    ),
    ErrorCode(
        "REG-006",
        429,
        "Too many requests",
        "Wait, then try again.",
        "Refused until the time in Retry-After.",
    ),
    ErrorCode(
        "REG-007",
        422,
        "Invalid data or configuration",
        "Correct the named field, or use the defaults.",
        "The last good values stay.",
    ),
    ErrorCode(
        "REG-008",
        503,
        "Certificate could not be issued",
        "Contact the operator.",
        "The operator is alerted.",
    ),
    ErrorCode(
        "REG-009",
        503,
        "Storage error",
        "Try again later.",
        "The circuit breaker opens.",
    ),
    ErrorCode(
        "REG-010",
        503,
        "Queue error",
        "Nothing: it is retried.",
        "The message goes to the dead-letter table.",
    ),
)
CODES = {entry.code: entry for entry in _CODES}

# Reasons are stable words for programs; sentences for people are made where they are shown.
BAD_SIGNATURE = "bad_signature"
REPLAYED_NONCE = "replayed_nonce"
CLOCK_SKEW = "clock_skew"
UNKNOWN_KEY = "unknown_key"
CHALLENGE_EXPIRED = "challenge_expired"
WRONG_CODE = "wrong_code"
TOO_MANY_ATTEMPTS = "too_many_attempts"
CLAIM_EXPIRED = "claim_expired"
CLAIM_DENIED = "claim_denied"
RELEASED = "released"
NOT_FOUND = "not_found"
INVALID = "invalid"


class Problem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The body of every error answer (RFC 9457), with our members beside the standard ones."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    code: str | None = None
    reason: str | None = None
    field: str | None = None
    server_time: str = ""
    correlation_id: str = ""
    retry_after: int | None = None
    min_boot_ctr: int | None = None
    interval: int | None = None
    device: dict[str, Any] | None = None
    user_action: str = ""
    system_action: str = ""


class Refusal(Exception):
    """A request that is refused, with everything an answer needs.

    `code` is one of `CODES` or None for plain HTTP errors such as 404; `field` is the path of the offending
    field (`$.location.latitude`); `retry_after` is in seconds.
    """

    def __init__(
        self,
        code: str | None,
        reason: str,
        detail: str,
        *,
        status: int | None = None,
        field: str | None = None,
        retry_after: int | None = None,
        min_boot_ctr: int | None = None,
        device: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code or status}: {detail}")
        self.code = code
        self.reason = reason
        self.detail = detail
        self.status = status if status is not None else (CODES[code].status if code else 400)
        self.field = field
        self.retry_after = retry_after
        self.min_boot_ctr = min_boot_ctr
        self.device = device

    def problem(self, *, server_time: str, correlation_id: str) -> Problem:
        """The answer's body."""
        known = CODES.get(self.code or "")
        return Problem(
            title=known.title if known else _PLAIN_TITLES.get(self.status, "Refused"),
            status=self.status,
            detail=self.detail,
            code=self.code,
            reason=self.reason,
            field=self.field,
            server_time=server_time,
            correlation_id=correlation_id,
            retry_after=self.retry_after,
            min_boot_ctr=self.min_boot_ctr,
            device=self.device,
            user_action=known.user_action if known else "",
            system_action=known.system_action if known else "",
        )


_PLAIN_TITLES = {
    400: "Bad request",
    401: "Sign in first",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    409: "Conflict",
    412: "Precondition failed",
    413: "Too large",
    415: "Unsupported media type",
    422: "Cannot be processed",
    429: "Too many requests",
    460: "Checksum mismatch",
    500: "Unexpected error",
    503: "Not available now",
}


def not_found() -> Refusal:
    """The one answer for what does not exist and for what belongs to somebody else."""
    return Refusal(None, NOT_FOUND, "There is nothing here for you.", status=404)
