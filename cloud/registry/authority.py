"""The certificate authority: an offline root, an online intermediate, leaves for stations. Stores nothing.

Of a certificate request only the public key is taken; its subject and extensions are the applicant's wishes.
No function here makes, takes or returns a station's private key.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocol.errors import Refusal

ROOT_YEARS = 20
INTERMEDIATE_YEARS = 5
BACKDATE = timedelta(hours=1)
"""Clocks of stations may be a little behind."""
MAX_CSR = 8192


@dataclass(frozen=True)
class Issued:
    """One certificate: serial and SHA-256 in hex, times in ms since 1970."""

    serial: str
    sha256: str
    not_before: int
    not_after: int
    pem: str


def public_key_of(csr_pem: str) -> ec.EllipticCurvePublicKey:
    """The proven P-256 key of a certificate request. Raises `Refusal` REG-001."""
    try:
        request = x509.load_pem_x509_csr(csr_pem.encode("ascii"))
        key = request.public_key()
        proven = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        raise _bad_request("The certificate request cannot be read.") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise _bad_request("The key of the certificate request must be EC P-256.")
    if not proven:
        raise _bad_request("The certificate request is not signed by its own key.")
    return key


def public_pem(key: ec.EllipticCurvePublicKey) -> str:
    """The public half, as it is stored."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode("ascii")


def _bad_request(detail: str) -> Refusal:
    return Refusal("REG-001", "bad_csr", detail, field="$.csr")


class Authority:
    """Issues leaves with the intermediate's key. The root's key is not needed and not loaded."""

    def __init__(
        self, root: x509.Certificate, intermediate: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> None:
        """Raises `ValueError` when the three do not belong together."""
        intermediate.verify_directly_issued_by(root)
        if intermediate.public_key() != key.public_key():
            raise ValueError("the intermediate certificate belongs to another key")
        self._root, self._intermediate, self._key = root, intermediate, key

    @property
    def root_pem(self) -> str:
        """What stations and brokers trust."""
        return _pem(self._root)

    @property
    def intermediate_pem(self) -> str:
        """What stands between root and leaf."""
        return _pem(self._intermediate)

    def issue(self, key: ec.EllipticCurvePublicKey, device_id: str, now: datetime, life: timedelta) -> Issued:
        """A leaf for one station. Raises `Refusal` REG-008 when the intermediate ends before it."""
        if now + life > self._intermediate.not_valid_after_utc:
            raise Refusal("REG-008", "authority_expired", "The authority's own certificate ends too soon.")
        builder = _builder(_name(device_id), self._intermediate.subject, key, now - BACKDATE, now + life)
        own = x509.SubjectKeyIdentifier.from_public_key(key)
        issuer = self._intermediate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        names = [x509.UniformResourceIdentifier(f"urn:meteor:device:{device_id}")]
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(own, critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        return _issued(certificate)


def make_root(
    key: ec.EllipticCurvePrivateKey, now: datetime, name: str = "Meteor root CA"
) -> x509.Certificate:
    """A self-signed root for twenty years."""
    subject = _name(name)
    builder = _builder(subject, subject, key.public_key(), now - BACKDATE, _years(now, ROOT_YEARS))
    own = key.public_key()
    return _as_authority(builder, own, own, path_length=1).sign(key, hashes.SHA256())


def make_intermediate(
    key: ec.EllipticCurvePublicKey,
    root: x509.Certificate,
    root_key: ec.EllipticCurvePrivateKey,
    now: datetime,
    name: str = "Meteor device CA",
) -> x509.Certificate:
    """An intermediate for five years that may sign leaves only."""
    ends = min(_years(now, INTERMEDIATE_YEARS), root.not_valid_after_utc)
    builder = _builder(_name(name), root.subject, key, now - BACKDATE, ends)
    return _as_authority(builder, key, root_key.public_key(), path_length=0).sign(root_key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(secrets.randbits(128) or 1)
        .not_valid_before(start.replace(microsecond=0))
        .not_valid_after(end.replace(microsecond=0))
    )


def _as_authority(
    builder: x509.CertificateBuilder,
    key: ec.EllipticCurvePublicKey,
    signer: ec.EllipticCurvePublicKey,
    path_length: int,
) -> x509.CertificateBuilder:
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
    )


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _issued(certificate: x509.Certificate) -> Issued:
    encoded = certificate.public_bytes(serialization.Encoding.DER)
    return Issued(
        serial=f"{certificate.serial_number:032x}",
        sha256=hashlib.sha256(encoded).hexdigest(),
        not_before=round(certificate.not_valid_before_utc.timestamp() * 1000),
        not_after=round(certificate.not_valid_after_utc.timestamp() * 1000),
        pem=_pem(certificate),
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _years(now: datetime, years: int) -> datetime:
    return now.astimezone(UTC) + timedelta(days=365.25 * years)
