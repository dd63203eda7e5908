"""The device key as the station uses it: it signs, and nobody asks where it lies. Stores are beside this."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from appliance.files import private_folder, write_atomically
from appliance.identity.csr import certificate_request
from protocol.codes import short_id
from protocol.signature import thumbprint

KeyStorage = Literal["file", "tpm2"]
"""Where a key lies, in the words of the protocol."""


class KeyDamaged(Exception):
    """The key file is there but cannot be used. The text says which file and what to do."""


class KeyUnavailable(KeyDamaged):
    """Nothing says that the key is lost, but what holds it does not answer. The text says what to do."""


class PrivateKey(Protocol):
    """A P-256 key, wherever it lies."""

    @property
    def storage(self) -> KeyStorage:
        """Where it lies."""

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half."""

    @property
    def exported(self) -> ec.EllipticCurvePrivateKey | None:
        """The key itself, None where it cannot leave its place."""

    def sign(self, data: bytes) -> bytes:
        """ECDSA over SHA-256, 64 raw bytes r‖s.

        Raises `KeyUnavailable`. May block as long as the place of the key needs.
        """


class KeyStore(Protocol):
    """Makes keys and finds them again by what lies in a file of the identity folder."""

    @property
    def file(self) -> str:
        """The name of the file of the key in use; the next one's ends in `.new`."""

    def make(self) -> bytes:
        """The content of the file of a new key. Raises `KeyUnavailable`."""

    def read(self, path: Path) -> PrivateKey:
        """The key of a file. Raises `KeyDamaged`, and `FileNotFoundError` without one."""


class DeviceKey:
    """The station's key. `keyid` is its thumbprint, `short_id` the station's name for people, which is made
    from its first key."""

    def __init__(self, private: PrivateKey, name: str = "") -> None:
        self.replace(private)
        self.short_id = name or short_id(self.keyid)

    def replace(self, private: PrivateKey) -> None:
        """The next key takes this one's place. The short id stays: people know the station by it."""
        self.private = private
        self.keyid = thumbprint(private.public_key)

    def __repr__(self) -> str:
        return f"DeviceKey({self.short_id})"

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half."""
        return self.private.public_key

    @property
    def storage(self) -> KeyStorage:
        """Where it lies."""
        return self.private.storage

    def csr(self) -> str:
        """A certificate request in PEM. The cloud takes only the public key from it. Blocks and raises as
        signing does."""
        return certificate_request(self.short_id, self.public_key, self.private.sign)


def load_or_create(folder: Path, store: KeyStore) -> DeviceKey:
    """The key in `folder`, made durable there before it is used for the first time.

    A damaged key is never replaced in silence, because a new key would be a new device to the cloud: raises
    `KeyDamaged`. Raises `OSError` when the folder cannot be written.
    """
    path = private_folder(folder) / store.file
    if not path.exists():
        write_atomically(path, store.make())
    return DeviceKey(store.read(path))
