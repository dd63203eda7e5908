"""TLS as a station needs it: server certificates judged by the corrected time, and its own one presented.

While nobody vouches for the system's clock, OpenSSL would judge dates by a time that may be years off. Then
it is told to leave the dates alone, and the server's own certificate is judged here by the time that the
station knows better: the floor, or what the cloud has signed. The dates of authorities are not judged then.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from appliance.errors import StartRefused
from appliance.identity.file_keys import private_pem
from appliance.uplink.time import CloudTime

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, for which Python has no name."""


OWN_TIME = "by this station's own clock, for which nobody vouches"
"""How a refusal ends that may come from a wrong clock."""


class _Dated(ssl.SSLObject):
    """A connection whose server certificate is judged by another clock than the system's."""

    def do_handshake(self) -> None:
        super().do_handshake()
        context = self.context
        if isinstance(context, StationTls) and (now := context.own_time()) is not None:
            _check_dates(self.getpeercert() or {}, now)


class StationTls(ssl.SSLContext):
    """One context for all connections to the cloud. Made by `station_tls`."""

    sslobject_class = _Dated
    own_time: Callable[[], float | None] = staticmethod(lambda: None)
    """Seconds since 1970, or None while the system's clock is good enough."""

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """A new connection takes the context's flags as they are now."""
        own = self.own_time() is not None
        flags = int(self.verify_flags) & ~_NO_CHECK_TIME
        self.verify_flags = ssl.VerifyFlags(flags | _NO_CHECK_TIME if own else flags)
        return super().wrap_bio(*args, **kwargs)

    def present(self, certificate_pem: str, key: ec.EllipticCurvePrivateKey | None) -> None:
        """New connections present this certificate. Raises `ssl.SSLError` when the two do not fit.

        OpenSSL wants the key itself. Where it cannot be had, None, nothing is presented: the signature of
        each request is the proof.
        """
        if key is None:
            return
        descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)  # the module reads files only
        try:
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(private_pem(key) + certificate_pem.encode("ascii"))
            self.load_cert_chain(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)


def station_tls(ca_certificate: str | None, time: CloudTime | None = None) -> StationTls:
    """For a cloud with its own CA, or with a public one. Raises `StartRefused` for a file that is no
    certificate."""
    try:
        usual = ssl.create_default_context(cafile=ca_certificate)
        made = StationTls(ssl.PROTOCOL_TLS_CLIENT)
        made.options, made.verify_flags = usual.options, usual.verify_flags
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        if ca_certificate:
            made.load_verify_locations(cafile=ca_certificate)
        else:
            made.load_default_certs()
    except OSError as error:  # ssl.SSLError is one
        raise StartRefused(
            f"cloud.ca_certificate: {ca_certificate} cannot be used ({error}). It must hold PEM certificates."
        ) from None
    if time is not None:
        made.own_time = lambda: None if time.system.quality().synchronized else time.now()
    return made


def _check_dates(certificate: dict[str, Any], now: float) -> None:
    with contextlib.suppress(KeyError):
        if now < ssl.cert_time_to_seconds(certificate["notBefore"]):
            raise _refused("certificate is not yet valid")
        if now > ssl.cert_time_to_seconds(certificate["notAfter"]):
            raise _refused("certificate has expired")


def _refused(why: str) -> ssl.SSLCertVerificationError:
    return ssl.SSLCertVerificationError(1, f"certificate verify failed: {why}, {OWN_TIME}")
