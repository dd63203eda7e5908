"""The certificate authority: an offline root, an online intermediate, leaves for stations. Stores nothing.

Of a certificate request only the public key is taken; its subject and extensions are the applicant's wishes.
No function here makes, takes or returns a station's private key.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocol.errors import Refusal
from protocol.vouched import KEY_NAME

ROOT_YEARS = 20
INTERMEDIATE_YEARS = 5
BACKDATE = timedelta(hours=1)
"""Clocks of stations may be a little behind."""
MAX_CSR = 8192


@dataclass(frozen=True)
class Issued:
    """One certificate: serial, SHA-256 and the issuer's key identifier in hex, times in ms since 1970."""

    serial: str
    sha256: str
    not_before: int
    not_after: int
    pem: str
    issuer: str


@dataclass(frozen=True)
class Revoked:
    """One entry of a revocation list: serial and issuer in hex, ms since 1970. No issuer: the first."""

    serial: str
    issuer: str | None
    revoked_ms: int
    reason: str


@dataclass(frozen=True)
class Issuer:
    """An intermediate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def identifier(self) -> str:
        """Its subject key identifier in hex."""
        return key_identifier(self.certificate)


def key_identifier(certificate: x509.Certificate) -> str:
    """The subject key identifier in hex. Raises `ValueError` without one."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        raise ValueError("the certificate has no subject key identifier") from None
    return found.value.digest.hex()


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
    """Issues leaves with the intermediate's key. The root's key is not needed and not loaded.

    `previous` are intermediates that issue nothing any more and whose leaves still hold, the newest first.
    """

    def __init__(
        self,
        root: x509.Certificate,
        intermediate: x509.Certificate,
        key: ec.EllipticCurvePrivateKey,
        previous: Sequence[Issuer] = (),
    ) -> None:
        """Raises `ValueError` when they do not belong together."""
        self._issuers = (Issuer(intermediate, key), *previous)
        for each in self._issuers:
            each.certificate.verify_directly_issued_by(root)
            if each.certificate.public_key() != each.key.public_key():
                raise ValueError("the intermediate certificate belongs to another key")
        self._root, self._intermediate, self._key = root, intermediate, key

    @property
    def root_pem(self) -> str:
        """What stations and brokers trust."""
        return _pem(self._root)

    @property
    def intermediate_pem(self) -> str:
        """What stands between root and new leaves."""
        return _pem(self._intermediate)

    @property
    def published_pem(self) -> str:
        """The root, and after it every intermediate whose leaves may be met."""
        return self.root_pem + "".join(_pem(each.certificate) for each in self._issuers)

    def issuer_pem(self, identifier: str | None) -> str:
        """The intermediate of a leaf. Leaves that name none are from before there were several."""
        for each in self._issuers:
            if each.identifier == identifier:
                return _pem(each.certificate)
        return _pem(self._issuers[-1].certificate)

    def revocation_lists(
        self, revoked: Iterable[Revoked], now: datetime, valid: timedelta, number: int
    ) -> bytes:
        """A list of each intermediate, in one PEM text (RFC 5280 §5)."""
        entries = list(revoked)
        oldest = self._issuers[-1].identifier
        lists = [
            _revocation_list(
                issuer,
                [each for each in entries if (each.issuer or oldest) == issuer.identifier],
                now,
                valid,
                number,
            )
            for issuer in self._issuers
        ]
        return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in lists)

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
        return _issued(certificate, issuer.digest.hex())

    @property
    def present_pem(self) -> str:
        """The root, and the intermediate that issues now."""
        return self.root_pem + self.intermediate_pem

    def vouch(self, key: ed25519.Ed25519PublicKey, key_id: str) -> str:
        """A certificate in PEM for a key that signs configurations, as long as the intermediate holds."""
        issuer = self._intermediate
        start, end = issuer.not_valid_before_utc, issuer.not_valid_after_utc
        builder = _builder(_name("Meteor configuration key"), issuer.subject, key, start, end)
        name = x509.UniformResourceIdentifier(f"{KEY_NAME}{key_id}")
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.SubjectAlternativeName([name]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return _pem(certificate)


_REASONS = {
    "key_compromise": x509.ReasonFlags.key_compromise,
    "superseded": x509.ReasonFlags.superseded,
    "cessation_of_operation": x509.ReasonFlags.cessation_of_operation,
}


def _revocation_list(
    issuer: Issuer, revoked: Iterable[Revoked], now: datetime, valid: timedelta, number: int
) -> x509.CertificateRevocationList:
    start = now.replace(microsecond=0)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(start)
        .next_update(start + valid)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False
        )
    )
    for each in revoked:
        builder = builder.add_revoked_certificate(_entry(each))
    return builder.sign(issuer.key, hashes.SHA256())


def _entry(revoked: Revoked) -> x509.RevokedCertificate:
    moment = datetime.fromtimestamp(revoked.revoked_ms // 1000, UTC)
    builder = x509.RevokedCertificateBuilder().serial_number(int(revoked.serial, 16)).revocation_date(moment)
    reason = _REASONS.get(revoked.reason)  # "unspecified" is said by saying nothing (RFC 5280 §5.3.1)
    return (builder.add_extension(x509.CRLReason(reason), critical=False) if reason else builder).build()


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
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey,
    start: datetime,
    end: datetime,
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


def _issued(certificate: x509.Certificate, issuer: str) -> Issued:
    encoded = certificate.public_bytes(serialization.Encoding.DER)
    return Issued(
        serial=f"{certificate.serial_number:032x}",
        sha256=hashlib.sha256(encoded).hexdigest(),
        not_before=round(certificate.not_valid_before_utc.timestamp() * 1000),
        not_after=round(certificate.not_valid_after_utc.timestamp() * 1000),
        pem=_pem(certificate),
        issuer=issuer,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _years(now: datetime, years: int) -> datetime:
    return now.astimezone(UTC) + timedelta(days=365.25 * years)
