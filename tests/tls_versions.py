"""The other side of a TLS connection, which speaks one version only, also those that nobody should."""

from __future__ import annotations

import ssl
import warnings

OLD = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
GOOD = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def speaking(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    """The same context, which speaks this version and no other. OpenSSL wants its level 0 for old ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = version
        context.minimum_version = version
    return context
