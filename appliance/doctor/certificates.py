"""Looks at a server's certificate without trusting it: for whom, from when to when, by whom."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Seen:
    """What stands in a certificate. Names are those that it is good for."""

    names: tuple[str, ...]
    issuer: str
    begins: datetime
    ends: datetime


async def fetch(host: str, port: int, patience: float) -> Seen | None:
    """The certificate that is shown there; None when there is none to look at. Nothing is sent."""
    try:
        async with asyncio.timeout(patience):
            _, writer = await asyncio.open_connection(host, port, ssl=_blind(), server_hostname=host)
    except (OSError, TimeoutError):
        return None
    shown: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return None if shown is None else read(shown)


def _blind() -> ssl.SSLContext:
    """Believes everything, for looking only."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def read(der: bytes) -> Seen | None:
    """What stands in it; None for what is no certificate."""
    from cryptography import x509  # here because it is large, and only a refused handshake needs it

    try:
        found = x509.load_der_x509_certificate(der)
        return Seen(
            _names(found),
            found.issuer.rfc4514_string(),
            found.not_valid_before_utc,
            found.not_valid_after_utc,
        )
    except ValueError:
        return None


def _names(found: object) -> tuple[str, ...]:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    assert isinstance(found, x509.Certificate)  # noqa: S101 - `read` made it
    try:
        stated = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return tuple(str(each.value) for each in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    dns = stated.get_values_for_type(x509.DNSName)
    return (*dns, *(str(each) for each in stated.get_values_for_type(x509.IPAddress)))
