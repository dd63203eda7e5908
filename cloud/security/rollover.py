"""Keys of the server give way to new ones: the old stay beside them until they are forgotten. No HTTP.

The order of every write is such that a server that is cut off in between starts again with keys that belong
together, or says which command to repeat.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from cloud.errors import StartError
from cloud.registry.authority import key_identifier, make_intermediate
from cloud.security.vault import Vault, sync_folder, write_secret

KINDS = ("intermediate", "config", "time", "token")


def roll_over(vault: Vault, kind: str, root_key: Path | None = None) -> str:
    """Makes a new key of a kind and keeps the old one; the new one's name. Raises `StartError`."""
    if kind == "intermediate":
        return _roll_over_intermediate(vault, root_key or vault.root_key)
    path = vault.signing_keys[kind]
    _set_aside(path, vault.previous / f"{path.stem}-{_stamp()}.key")
    vault.raise_key_version()
    fresh = (
        ec.generate_private_key(ec.SECP256R1()) if kind == "token" else ed25519.Ed25519PrivateKey.generate()
    )
    write_secret(path, _pem(fresh))
    return path.name


def forget(vault: Vault, kind: str) -> int:
    """Drops the previous keys of a kind, which count for nothing from then on; how many there were."""
    stem = "intermediate" if kind == "intermediate" else vault.signing_keys[kind].stem
    found = [*vault.previous.glob(f"{stem}-*.key"), *vault.previous.glob(f"{stem}-*.crt")]
    if found:
        vault.raise_key_version()
    for path in found:
        path.unlink()
    if found:
        sync_folder(vault.previous)
    return sum(path.suffix == ".key" for path in found)


def _roll_over_intermediate(vault: Vault, root_key: Path) -> str:
    try:
        root = x509.load_pem_x509_certificate(vault.root_certificate.read_bytes())
        signer = serialization.load_pem_private_key(root_key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise StartError(f"The root's key {root_key} cannot be used: {error}.") from None
    if not isinstance(signer, ec.EllipticCurvePrivateKey) or signer.public_key() != root.public_key():
        raise StartError(f"{root_key} is not the key of the root in {vault.folder}.")
    _keep_intermediate(vault)
    fresh = ec.generate_private_key(ec.SECP256R1())
    made = make_intermediate(fresh.public_key(), root, signer, datetime.now(UTC))
    # A cut between these two leaves a pair that does not belong together: the same command mends it.
    write_secret(vault.intermediate_key, _pem(fresh))
    write_secret(vault.intermediate_certificate, made.public_bytes(serialization.Encoding.PEM))
    return key_identifier(made)[:16]


def _keep_intermediate(vault: Vault) -> None:
    certificate = x509.load_pem_x509_certificate(vault.intermediate_certificate.read_bytes())
    key = serialization.load_pem_private_key(vault.intermediate_key.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        return  # a roll-over that was cut: the pair that belongs together is kept already
    name = vault.previous / f"intermediate-{key_identifier(certificate)[:16]}"
    _set_aside(vault.intermediate_key, name.with_suffix(".key"))
    _set_aside(vault.intermediate_certificate, name.with_suffix(".crt"))


def _set_aside(path: Path, kept: Path) -> None:
    write_secret(kept, path.read_bytes())


def _stamp() -> str:
    """Sorts by age."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"


def _pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
