"""How long a station's certificate still holds, as a word for people. Issues and revokes nothing."""

from __future__ import annotations

from typing import Literal

from protocol.certificate_messages import ALERT_S

CertificateAlert = Literal["ending", "ended", "revoked"]


def certificate_alert(ends_ms: int | None, now_ms: int) -> CertificateAlert | None:
    """What somebody should know of a certificate that ends then; None while all is well.

    `ends_ms` is None when there is no certificate in force. A station renews a month before the end, so with
    less than a week left something keeps it from doing so.
    """
    if ends_ms is None:
        return "revoked"
    if ends_ms <= now_ms:
        return "ended"
    return "ending" if ends_ms - now_ms < ALERT_S * 1000 else None
