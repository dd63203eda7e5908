"""TLS that ends at the cloud itself: the server's certificate, and stations' as far as TLS judges them.

The chain of a station's certificate is checked here, its dates are not: a station whose certificate has ended
must still be able to ask for the next. Dates, revocation and whose it is are checked with every request.
"""

from __future__ import annotations

import hashlib
import ssl

from aiohttp import web

from cloud.errors import SettingsError
from cloud.registry.authority import Authority
from cloud.settings import Settings

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, for which Python has no name."""


def server_context(settings: Settings, authority: Authority) -> ssl.SSLContext | None:
    """None for plain HTTP. Raises `SettingsError` that names the setting."""
    strict = "mtls" in settings.auth_require
    if settings.tls_certificate is None:
        if strict:
            raise SettingsError("auth_require asks for client certificates, so tls_certificate must be set.")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"tls_certificate or tls_key cannot be used: {error}.") from None
    if settings.client_certificates or strict:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
        context.load_verify_locations(cadata=authority.published_pem)
    return context


def presented(request: web.Request) -> str | None:
    """SHA-256 in hex of the certificate that the other side presented here; None without one."""
    connection = request.transport.get_extra_info("ssl_object") if request.transport else None
    if not isinstance(connection, ssl.SSLObject):
        return None
    certificate = connection.getpeercert(binary_form=True)
    return hashlib.sha256(certificate).hexdigest() if certificate else None
