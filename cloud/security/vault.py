"""The server's secret files: where each lies, how it is made and read. What they are used for is elsewhere.

The folder is 0700 and every file 0600. The root's key is made in a folder of its own, because it must leave
this machine; the server never opens it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from cloud.errors import SecretMissing, StartError
from cloud.registry.authority import Authority, Issuer, make_intermediate, make_root

_PEPPER_BYTES = 32


@dataclass(frozen=True, repr=False)
class Secrets:
    """Everything the server needs to hold, loaded. It has no representation, so that no log shows it."""

    pepper: bytes
    authority: Authority
    config_key: ed25519.Ed25519PrivateKey
    token_key: ec.EllipticCurvePrivateKey
    time_key: ed25519.Ed25519PrivateKey
    previous_config_keys: tuple[ed25519.Ed25519PrivateKey, ...] = ()
    previous_token_keys: tuple[ec.EllipticCurvePrivateKey, ...] = ()
    previous_time_keys: tuple[ed25519.Ed25519PrivateKey, ...] = ()
    key_version: int = 1


class Vault:
    """One folder of secrets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root_certificate = folder / "root.crt"
        self.root_key = folder / "offline" / "root.key"
        self.intermediate_certificate = folder / "intermediate.crt"
        self.intermediate_key = folder / "intermediate.key"
        self.pepper = folder / "pepper"
        self.config_key = folder / "config-signing.key"
        self.token_key = folder / "token-signing.key"
        self.time_key = folder / "time-signing.key"
        self.key_version = folder / "key-version"
        self.previous = folder / "previous"

    @property
    def signing_keys(self) -> dict[str, Path]:
        """The keys that can be exchanged without the root, by their kind."""
        return {"config": self.config_key, "token": self.token_key, "time": self.time_key}

    def raise_key_version(self) -> None:
        """The set of keys is about to change: stations take only a set with a higher number."""
        write_secret(self.key_version, str(self._version() + 1).encode("ascii"))

    def _version(self) -> int:
        return int(self.key_version.read_text("ascii")) if self.key_version.exists() else 1

    def needed(self) -> dict[str, Path]:
        """What a server must have, by the name that people know it by."""
        return {
            "root certificate": self.root_certificate,
            "intermediate certificate": self.intermediate_certificate,
            "intermediate key": self.intermediate_key,
            "pepper": self.pepper,
            "configuration-signing key": self.config_key,
            "token-signing key": self.token_key,
        }

    def missing(self) -> list[str]:
        """Names of the secrets that are not there."""
        return [name for name, path in self.needed().items() if not path.is_file()]

    def make_authority(self, now: datetime | None = None) -> None:
        """Makes root and intermediate. Raises `StartError` when there is an authority already."""
        if self.root_certificate.exists() or self.intermediate_certificate.exists():
            raise StartError(f"There is an authority in {self.folder} already.")
        moment = now or datetime.now(UTC)
        root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        root = make_root(root_key, moment)
        write_secret(self.root_key, _private_pem(root_key))
        write_secret(self.intermediate_key, _private_pem(key))
        intermediate = make_intermediate(key.public_key(), root, root_key, moment)
        write_secret(self.intermediate_certificate, intermediate.public_bytes(serialization.Encoding.PEM))
        write_secret(self.root_certificate, root.public_bytes(serialization.Encoding.PEM))

    def make_missing_keys(self) -> None:
        """Makes pepper, configuration-signing and token-signing key where absent; never replaces one."""
        if not self.pepper.exists():
            write_secret(self.pepper, secrets.token_hex(_PEPPER_BYTES).encode("ascii"))
        if not self.config_key.exists():
            write_secret(self.config_key, _private_pem(ed25519.Ed25519PrivateKey.generate()))
        if not self.token_key.exists():
            write_secret(self.token_key, _private_pem(ec.generate_private_key(ec.SECP256R1())))
        self.make_time_key()

    def make_time_key(self) -> None:
        """Makes the key that signs the time, where a server of an earlier version has none."""
        if not self.time_key.exists():
            write_secret(self.time_key, _private_pem(ed25519.Ed25519PrivateKey.generate()))

    def load(self) -> Secrets:
        """Raises `SecretMissing` that names everything absent, or `StartError` for a damaged file."""
        if missing := self.missing():
            raise SecretMissing(f"In {self.folder} there is no {', no '.join(missing)}.")
        self.make_time_key()
        try:
            return self._read()
        except (ValueError, TypeError, OSError) as error:
            raise StartError(f"A secret in {self.folder} cannot be used: {error}.") from None

    def _read(self) -> Secrets:
        pepper = bytes.fromhex(self.pepper.read_text("ascii").strip())
        if len(pepper) < _PEPPER_BYTES:
            raise ValueError("the pepper has less than 32 bytes")
        authority = Authority(
            x509.load_pem_x509_certificate(self.root_certificate.read_bytes()),
            x509.load_pem_x509_certificate(self.intermediate_certificate.read_bytes()),
            _ec_key(self.intermediate_key),
            [_issuer(path) for path in self._kept("intermediate")],
        )
        return Secrets(
            pepper,
            authority,
            _ed_key(self.config_key),
            _ec_key(self.token_key),
            _ed_key(self.time_key),
            tuple(map(_ed_key, self._kept(self.config_key.stem))),
            tuple(map(_ec_key, self._kept(self.token_key.stem))),
            tuple(map(_ed_key, self._kept(self.time_key.stem))),
            self._version(),
        )

    def _kept(self, stem: str) -> list[Path]:
        """Previous keys of a kind, the newest first, without one that is the present key too after a cut."""
        present = self.folder / f"{stem}.key"
        found = [
            path for path in self.previous.glob(f"{stem}-*.key") if path.read_bytes() != present.read_bytes()
        ]
        return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def write_secret(path: Path, content: bytes) -> None:
    """Writes a file 0600 that is there whole or not at all, after a power failure too."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.chmod(0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes a rename in this folder survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _private_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _issuer(path: Path) -> Issuer:
    certificate = x509.load_pem_x509_certificate(path.with_suffix(".crt").read_bytes())
    return Issuer(certificate, _ec_key(path))


def _ed_key(path: Path) -> ed25519.Ed25519PrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise TypeError(f"{path.name} is not an Ed25519 key")
    return key


def _ec_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise TypeError(f"{path.name} is not a P-256 key")
    return key
