"""Keys in files: the private half lies in the identity folder, readable for the station's user only."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.identity.keys import DeviceKey, KeyDamaged, KeyStorage
from protocol.signature import signer


class FileKey:
    """A key in the memory of this program."""

    storage: KeyStorage = "file"

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self.exported = private
        self.public_key = private.public_key()
        self.sign = signer(private)


class FileKeys:
    """Keys in PEM."""

    file = "device.key"

    def make(self) -> bytes:
        """A new key as it lies on the disk."""
        return private_pem(ec.generate_private_key(ec.SECP256R1()))

    def read(self, path: Path) -> FileKey:
        """The key in a file. Raises `KeyDamaged`, and `FileNotFoundError` without one."""
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except ValueError as error:
            raise KeyDamaged(
                f"{path} is damaged ({error}). Restore it from a backup, or reset the station."
            ) from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise KeyDamaged(f"{path} holds no P-256 key. Restore it from a backup, or reset the station.")
        return FileKey(key)


def ephemeral() -> DeviceKey:
    """A key that is stored nowhere, so that a station with a damaged key can at least show what is wrong."""
    return DeviceKey(FileKey(ec.generate_private_key(ec.SECP256R1())))


def private_pem(private: ec.EllipticCurvePrivateKey) -> bytes:
    """The form in which a key lies on the disk."""
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
