"""The device key: made at first boot, never leaves the device. Signing formats live in `protocol`."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.files import private_folder, write_atomically
from protocol.codes import short_id
from protocol.signature import thumbprint


class KeyDamaged(Exception):
    """The key file is there but cannot be used. The text says which file and what to do."""


class DeviceKey:
    """An EC P-256 key in a file. `keyid` is its thumbprint, `short_id` the station's name for people,
    which is made from its first key."""

    storage = "file"

    def __init__(self, private: ec.EllipticCurvePrivateKey, name: str = "") -> None:
        self.replace(private)
        self.short_id = name or short_id(self.keyid)

    def replace(self, private: ec.EllipticCurvePrivateKey) -> None:
        """The next key takes this one's place. The short id stays: people know the station by it."""
        self.private = private
        self.keyid = thumbprint(private.public_key())

    def __repr__(self) -> str:
        return f"DeviceKey({self.short_id})"

    def csr(self) -> str:
        """A certificate request in PEM. The cloud takes only the public key from it."""
        from cryptography import x509  # here because it is large, and only a claim needs it
        from cryptography.x509.oid import NameOID

        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.short_id)])
        request = (
            x509.CertificateSigningRequestBuilder().subject_name(name).sign(self.private, hashes.SHA256())
        )
        return request.public_bytes(serialization.Encoding.PEM).decode("ascii")


def load_or_create(folder: Path) -> DeviceKey:
    """The key in `folder`, made durable there before it is used for the first time.

    A damaged key is never replaced in silence, because a new key would be a new device to the cloud: raises
    `KeyDamaged`. Raises `OSError` when the folder cannot be written.
    """
    path = private_folder(folder) / "device.key"
    if path.exists():
        return DeviceKey(read_private(path))
    private = ec.generate_private_key(ec.SECP256R1())
    write_atomically(path, private_pem(private))
    return DeviceKey(private)


def ephemeral() -> DeviceKey:
    """A key that is stored nowhere, so that a station with a damaged key can at least show what is wrong."""
    return DeviceKey(ec.generate_private_key(ec.SECP256R1()))


def private_pem(private: ec.EllipticCurvePrivateKey) -> bytes:
    """The form in which a key lies on the disk."""
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_private(path: Path) -> ec.EllipticCurvePrivateKey:
    """The key in a file. Raises `KeyDamaged`, and `FileNotFoundError` without one."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except ValueError as error:
        raise KeyDamaged(
            f"{path} is damaged ({error}). Restore it from a backup, or reset the station."
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyDamaged(f"{path} holds no P-256 key. Restore it from a backup, or reset the station.")
    return key
