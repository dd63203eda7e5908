"""The bodies of bulk registration: keys said beforehand, and batches of one-use tokens (mode C)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from protocol.messages import Answer, Identifier, Location, Name, Request

MOST_ROWS = 500
"""Stations in one request."""

KeyId = Annotated[str, Meta(max_length=43, pattern=r"^[A-Za-z0-9_-]{43}$")]
BatchLife = Annotated[int, Meta(ge=3600, le=365 * 86_400)]


class PreauthorizedKey(Request):
    """One station whose key is known before it is switched on."""

    keyid: KeyId
    name: Name | None = None
    location: Location | None = None


class PreauthorizeRequest(Request):
    """POST /devices/preauthorize: the first signed claim of each key succeeds without a person."""

    stations: Annotated[list[PreauthorizedKey], Meta(min_length=1, max_length=MOST_ROWS)]
    expires_in: BatchLife = 90 * 86_400


class PreauthorizedStation(Answer):
    """`added`; `known` when this key waits or is yours already."""

    keyid: str
    claim_id: str | None
    state: Literal["added", "known"]


class PreauthorizeAnswer(Answer):
    """201."""

    batch_id: str
    expires_at: str
    stations: list[PreauthorizedStation]
    server_time: str


class BatchRow(Request):
    """One station of a batch. With `device_id` its token gives that station of yours a new card."""

    name: Name | None = None
    location: Location | None = None
    device_id: Identifier | None = None


class BatchRequest(Request):
    """POST /devices/batches. The same as `text/csv` with the columns `name,location,device_id`."""

    stations: Annotated[list[BatchRow], Meta(min_length=1, max_length=MOST_ROWS)]
    expires_in: BatchLife = 90 * 86_400


class BatchToken(Answer):
    """One label: the token is shown this once; only its hash is stored."""

    claim_id: str
    claim_token: str
    qr_text: str
    name: str | None


class TokenBatch(Answer):
    """201."""

    batch_id: str
    expires_at: str
    stations: list[BatchToken]
    server_time: str


class BatchClaim(Answer):
    """How far one station of a batch is."""

    claim_id: str
    status: str
    name: str | None
    device_id: str | None


class BatchStatus(Answer):
    """GET /devices/batches/:batch_id."""

    batch_id: str
    stations: list[BatchClaim]
    server_time: str
