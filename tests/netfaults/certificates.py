"""An authority of the tests, and certificates of the cloud that are valid, over, or not yet begun."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)
LIVES = {"good": (-DAY, 30 * DAY), "expired": (-30 * DAY, -DAY), "future": (DAY, 30 * DAY)}
"""Begin and end of each kind, seen from now."""


def make(folder: Path, name: str) -> Path:
    """Writes `good.pem`, `expired.pem`, `future.pem` (key and chain); the file that a station shall trust."""
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    own = _named("Authority of the network tests")
    authority = (
        _builder(own, own, key.public_key(), now - 400 * DAY, now + 400 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    for kind, (begin, end) in LIVES.items():
        (folder / f"{kind}.pem").write_bytes(_leaf(name, key, own, now + begin, now + end))
    trusted = folder / "authority.pem"
    trusted.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    return trusted


def _leaf(
    name: str, authority: ec.EllipticCurvePrivateKey, issuer: x509.Name, begin: datetime, end: datetime
) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    issued = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
    leaf = (
        _builder(_named(name), issuer, key.public_key(), begin, end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(issued, critical=False)
        .sign(authority, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return secret + leaf.public_bytes(serialization.Encoding.PEM)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
