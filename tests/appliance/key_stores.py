"""The stores of device keys that the contract runs over: files, and one that keeps everything in memory."""

from __future__ import annotations

import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from appliance.identity.keys import KeyDamaged, KeyStorage, KeyUnavailable
from protocol.signature import signer


class HeldKey:
    """A key that its holder does not give away."""

    storage: KeyStorage = "tpm2"
    exported = None

    def __init__(self, holder: HoldingKeys, private: ec.EllipticCurvePrivateKey) -> None:
        self._holder, self._sign = holder, signer(private)
        self.public_key = private.public_key()

    def sign(self, data: bytes) -> bytes:
        self._holder.must_answer()
        return self._sign(data)


class HoldingKeys:
    """Behaves as a chip does: the file names a key that only this store knows. `silent` is a broken chip."""

    file = "device.tpm"

    def __init__(self) -> None:
        self.silent = False
        self._held: dict[bytes, ec.EllipticCurvePrivateKey] = {}

    def must_answer(self) -> None:
        if self.silent:
            raise KeyUnavailable("The holder of the key does not answer.")

    def clear(self) -> None:
        """As a TPM is cleared: no key of before can be used ever again."""
        self._held.clear()

    def make(self) -> bytes:
        self.must_answer()
        name = secrets.token_hex(16).encode()
        self._held[name] = ec.generate_private_key(ec.SECP256R1())
        return name

    def read(self, path: Path) -> HeldKey:
        name = path.read_bytes()
        self.must_answer()
        if name not in self._held:
            raise KeyDamaged(f"{path} names no key. Reset the station.")
        return HeldKey(self, self._held[name])
