"""How a claim record looks to its person and its station. Reads rows, changes nothing."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from cloud.qr import qr_code
from cloud.registry import records
from protocol.clock import from_unix
from protocol.codes import claim_text
from protocol.messages import ClaimStatus, ClaimTokenAnswer, InitiateAnswer


@dataclass(frozen=True)
class ClaimView:
    """A person's own record. `mode` is token, device_code or expectation; times in ms."""

    claim_id: str
    mode: str
    short_id: str | None
    name: str | None
    created_ms: int
    expires_ms: int
    status: str
    progress: int
    error: str | None
    error_code: str | None
    device_id: str | None
    replaces: str | None = None
    """A station that this may be a new card of; whose it is must be asked before it is shown."""


def view(row: Row[Any], now_ms: int) -> ClaimView:
    """For the pages."""
    told = status(row, 0, now_ms)
    return ClaimView(
        row.id,
        row.mode,
        row.short_id,
        row.name,
        row.created,
        row.expires,
        told.status,
        told.progress,
        told.error,
        told.error_code,
        told.device_id,
        row.replaces if row.consent == "asked" else None,
    )


def status(row: Row[Any], interval: int, now_ms: int) -> ClaimStatus:
    """A record whose time ran out says so, whether or not it was closed yet."""
    reason = records.closed_reason(row, now_ms)
    return ClaimStatus(
        claim_id=row.id,
        status="expired" if reason else row.status,
        progress=row.progress,
        expires_at=from_unix(row.expires / 1000),
        interval=interval,
        server_time=from_unix(now_ms / 1000),
        device_id=row.device_id,
        device_name=row.name,
        error=reason,
        error_code=(row.error_code or "REG-002") if reason else None,
    )


def token_answer(
    base: str, ca_pin: str, row: Row[Any], token: str, life_s: int, now_ms: int
) -> ClaimTokenAnswer:
    """The one time that a token is shown; its picture is in the answer too, because nothing keeps it."""
    text = claim_text(base, token, ca_pin)
    return ClaimTokenAnswer(
        claim_token=token,
        claim_id=row.id,
        expires_in=life_s,
        expires_at=from_unix(row.expires / 1000),
        fallback_pin=None,
        qr_code_url=_qr_image(text),
        qr_text=text,
        websocket_url=f"{base.replace('http', 'ws', 1)}/device-realtime",
        server_time=from_unix(now_ms / 1000),
    )


def _qr_image(text: str) -> str:
    code = qr_code(text, quick=True)
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {code.size} {code.size}">'
        f'<path fill="#fff" d="M0 0h{code.size}v{code.size}H0z"/><path d="{code.path}"/></svg>'
    )
    return "data:image/svg+xml;base64," + base64.b64encode(picture.encode()).decode("ascii")


def initiate_answer(base: str, row: Row[Any], now_ms: int, token: str | None = None) -> InitiateAnswer:
    """The same shape whether a station waits, is expected, or the code was wrong."""
    return InitiateAnswer(
        claim_id=row.id,
        registrationToken=token,
        deviceId=None,
        expiresAt=from_unix(row.expires / 1000),
        validationEndpoint=f"{base}/v1/devices/register/validate",
        localConfig={},
        server_time=from_unix(now_ms / 1000),
    )
