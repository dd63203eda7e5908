"""The bodies of renewing and revoking certificates, and the words with which keys are refused."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from protocol.messages import Answer, Pem, Request

KEY_REVOKED = "key_revoked"
KEY_SUPERSEDED = "key_superseded"
CERTIFICATE_EXPIRED = "certificate_expired"
CERTIFICATE_REVOKED = "certificate_revoked"
RENEWAL_TOO_LATE = "renewal_too_late"

RENEW_AT_ONCE = frozenset({CERTIFICATE_EXPIRED, CERTIFICATE_REVOKED})
"""Refusals that a new certificate ends."""

RENEWAL_GRACE_S = 180 * 86_400
"""So long after its certificate's end a station may still renew without its owner."""
OVERLAP_S = 7 * 86_400
"""So long the old key stays valid beside a new one that was not used yet."""
ALERT_S = 7 * 86_400
"""With less than this left, somebody should look why nothing was renewed."""


class RenewRequest(Request):
    """POST /devices/:id/certificates/renew, signed by the old key; `csr` holds the new one."""

    csr: Pem
    key_storage: Literal["tpm2", "se", "file"] = "file"


class RenewAnswer(Answer):
    """201, and 200 for the same answer again: leaf and intermediate in one PEM, the root in another."""

    device_id: str
    serial: str
    epoch: int
    device_certificate: str
    ca_certificate: str
    renew_after: str
    certificate_not_after: str
    server_time: str


Reason = Literal["unspecified", "key_compromise", "superseded", "cessation_of_operation"]


class RevokeRequest(Request):
    """POST /devices/:id/revoke: the station's keys and certificates are worth nothing from now on."""

    reason: Reason = "unspecified"
    note: Annotated[str, Meta(max_length=200)] = ""


class CertificateItem(Answer):
    """One certificate of a station. Times in ms since 1970; `sha256` is the fingerprint in hex."""

    serial: str
    keyid: str
    sha256: str
    not_before_ms: int
    not_after_ms: int
    status: Literal["active", "superseded", "revoked"]
    revoked_ms: int | None
    reason: str | None


class CertificateList(Answer):
    """GET /devices/:id/certificates, newest first."""

    certificates: list[CertificateItem]
    server_time: str


class RevokeAnswer(Answer):
    """How many certificates were revoked."""

    revoked: int
    server_time: str


class TokenAnswer(Answer):
    """POST /devices/:id/token: a token for `expires_in` seconds."""

    device_token: str
    expires_in: int
    server_time: str
