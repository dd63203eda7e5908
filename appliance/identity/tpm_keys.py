"""Keys in a TPM 2.0: the file holds what only the chip that made it can read, and nothing of use elsewhere.

The file is in the format of OpenSSL's TPM programs (`TSS2 PRIVATE KEY`). The key's parent is never stored:
the chip makes the same one again from its own seed and a fixed template, the standard one for storage keys
on P-256. So nothing lies in the chip that could fill it up. Who clears the TPM ends its seed, and the key.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from appliance.identity.keys import KeyDamaged, KeyStorage, KeyUnavailable
from appliance.identity.tpm_chip import DEVICE, Chip, library


class TpmKeys:
    """Keys that one TPM made. Everything here blocks, as long as the chip needs."""

    file = "device.tpm"

    def __init__(self, name: str = DEVICE) -> None:
        self.chip = Chip(name)

    def make(self) -> bytes:
        """A new key, as only this TPM can read it. Raises `KeyUnavailable`."""
        tss = library()
        from tpm2_pytss.tsskey import TSSPrivKey

        with self.chip.opened() as tpm:
            parent = _parent(tss, tpm)
            try:
                private, public, *_ = tpm.create(
                    parent, tss.TPM2B_SENSITIVE_CREATE(), tss.TPM2B_PUBLIC(publicArea=_signing_key(tss))
                )
            finally:
                tpm.flush_context(parent)
        return bytes(TSSPrivKey(private, public).to_pem())

    def read(self, path: Path) -> TpmKey:
        """The key of a file, once the TPM has taken it.

        Raises `KeyDamaged`, also for a TPM that did not make this key or was cleared since; `KeyUnavailable`;
        and `FileNotFoundError` without a file.
        """
        content = path.read_bytes()
        tss = library()
        from tpm2_pytss.tsskey import TSSPrivKey

        try:
            kept = TSSPrivKey.from_pem(content)
            key = TpmKey(self.chip, path, kept, _public(tss, kept.public.publicArea))
        except (ValueError, TypeError, tss.TSS2_Exception) as error:
            raise KeyDamaged(
                f"{path} is damaged ({error}). Restore it from a backup of this machine, or reset the "
                "station."
            ) from None
        key.check()
        return key


class TpmKey:
    """A key that never leaves its TPM. Signs from any thread, one signature at a time."""

    storage: KeyStorage = "tpm2"
    exported = None

    def __init__(self, chip: Chip, path: Path, kept: Any, public: ec.EllipticCurvePublicKey) -> None:
        self.public_key = public
        self._chip, self._path, self._kept = chip, path, kept
        self._loaded: Any = None
        """The key as the TPM itself saved it, which is quicker to load. Worthless after its next start."""

    def check(self) -> None:
        """Has the TPM take the key. Raises `KeyDamaged` and `KeyUnavailable`."""
        tss = library()
        with self._chip.opened() as tpm:
            tpm.flush_context(self._load(tss, tpm))

    def sign(self, data: bytes) -> bytes:
        """ECDSA over SHA-256, 64 raw bytes r‖s. Blocks. Raises `KeyUnavailable`."""
        tss = library()
        scheme = tss.TPMT_SIG_SCHEME(scheme=tss.TPM2_ALG.NULL)  # the key's own
        unproven = tss.TPMT_TK_HASHCHECK(tag=tss.TPM2_ST.HASHCHECK, hierarchy=tss.TPM2_RH.NULL)
        digest = hashlib.sha256(data).digest()
        try:
            with self._chip.opened() as tpm:
                handle = self._load(tss, tpm)
                try:
                    made = tpm.sign(handle, digest, scheme, unproven)  # it owns the memory of its parts
                    ecdsa = made.signature.ecdsa
                    halves = bytes(ecdsa.signatureR), bytes(ecdsa.signatureS)
                finally:
                    tpm.flush_context(handle)
        except KeyUnavailable:
            raise
        except KeyDamaged as error:
            raise KeyUnavailable(str(error)) from None
        return b"".join(half.rjust(32, b"\0") for half in halves)

    def _load(self, tss: Any, tpm: Any) -> Any:
        """A handle of the key, to be flushed."""
        if self._loaded is not None:
            try:
                return tpm.context_load(self._loaded)
            except tss.TSS2_Exception:
                self._loaded = None  # the TPM started anew, or was cleared: the next lines know which
        parent = _parent(tss, tpm)
        try:
            handle = tpm.load(parent, self._kept.private, self._kept.public)
        except tss.TSS2_Exception as error:
            if not error.parameter:
                raise
            raise KeyDamaged(
                f"{self._path} is a key that this TPM does not know ({error}): the TPM was cleared or "
                "replaced, or the file is damaged. Restore the file or the TPM, or reset the station."
            ) from None
        finally:
            tpm.flush_context(parent)
        self._loaded = tpm.context_save(handle)
        return handle


def _parent(tss: Any, tpm: Any) -> Any:
    """A handle of the storage key from which all others hang, to be flushed."""
    template = tss.TPM2B_PUBLIC(publicArea=_storage_key(tss))
    handle, *_ = tpm.create_primary(tss.TPM2B_SENSITIVE_CREATE(), template, tss.ESYS_TR.OWNER)
    return handle


def _storage_key(tss: Any) -> Any:
    """Storage root key on P-256 (TCG TPM v2.0 Provisioning Guidance §7.5.1). A change loses all keys."""
    return _template(
        tss,
        tss.TPMA_OBJECT.RESTRICTED | tss.TPMA_OBJECT.DECRYPT,
        symmetric=tss.TPMT_SYM_DEF_OBJECT(
            algorithm=tss.TPM2_ALG.AES,
            keyBits=tss.TPMU_SYM_KEY_BITS(aes=128),
            mode=tss.TPMU_SYM_MODE(aes=tss.TPM2_ALG.CFB),
        ),
        scheme=tss.TPMT_ECC_SCHEME(scheme=tss.TPM2_ALG.NULL),
    )


def _signing_key(tss: Any) -> Any:
    """Signs with ECDSA over SHA-256 and does nothing else."""
    return _template(
        tss,
        tss.TPMA_OBJECT.SIGN_ENCRYPT,
        symmetric=tss.TPMT_SYM_DEF_OBJECT(algorithm=tss.TPM2_ALG.NULL),
        scheme=tss.TPMT_ECC_SCHEME(
            scheme=tss.TPM2_ALG.ECDSA,
            details=tss.TPMU_ASYM_SCHEME(ecdsa=tss.TPMS_SCHEME_HASH(hashAlg=tss.TPM2_ALG.SHA256)),
        ),
    )


def _template(tss: Any, use: Any, *, symmetric: Any, scheme: Any) -> Any:
    """A P-256 key that is made in the TPM, never leaves it, and has no password that could lock it."""
    kept = tss.TPMA_OBJECT.FIXEDTPM | tss.TPMA_OBJECT.FIXEDPARENT | tss.TPMA_OBJECT.SENSITIVEDATAORIGIN
    return tss.TPMT_PUBLIC(
        type=tss.TPM2_ALG.ECC,
        nameAlg=tss.TPM2_ALG.SHA256,
        objectAttributes=kept | tss.TPMA_OBJECT.USERWITHAUTH | tss.TPMA_OBJECT.NODA | use,
        parameters=tss.TPMU_PUBLIC_PARMS(
            eccDetail=tss.TPMS_ECC_PARMS(
                symmetric=symmetric,
                scheme=scheme,
                curveID=tss.TPM2_ECC.NIST_P256,
                kdf=tss.TPMT_KDF_SCHEME(scheme=tss.TPM2_ALG.NULL),
            )
        ),
    )


def _public(tss: Any, area: Any) -> ec.EllipticCurvePublicKey:
    """The public half. Raises `ValueError` for another kind of key."""
    if area.type != tss.TPM2_ALG.ECC or area.parameters.eccDetail.curveID != tss.TPM2_ECC.NIST_P256:
        raise ValueError("no P-256 key")
    point = area.unique.ecc
    x, y = (int.from_bytes(bytes(half), "big") for half in (point.x, point.y))
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
