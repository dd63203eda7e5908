"""Which store has the station's key: the file that is there decides, and a wish only where there is none."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

from appliance.identity.file_keys import FileKeys
from appliance.identity.keys import KeyDamaged, KeyStore
from appliance.identity.tpm_chip import DEVICE
from appliance.identity.tpm_keys import TpmKeys

log = logging.getLogger(__name__)

Wish = Literal["auto", "file", "tpm"]


def store_of(folder: Path, wish: Wish = "auto", tpm: str = DEVICE) -> KeyStore:
    """The store of the key in `folder`, or the one for a key that is still to be made.

    `auto` is the file: a TPM that is cleared or replaced costs the key, so its owner must want it. Raises
    `KeyDamaged` when there are two keys.
    """
    stores: tuple[KeyStore, KeyStore] = (FileKeys(), TpmKeys(tpm))
    wanted = stores[wish == "tpm"]
    found = [store for store in stores if (folder / store.file).exists()]
    if len(found) == 2:
        one, other = (folder / store.file for store in found)
        raise KeyDamaged(
            f"{one} and {other} are both there, and only one can be the key of this station. Move away the "
            "one that does not belong to its certificate, and restart the station."
        )
    if not found:
        return wanted
    if wish != "auto" and found[0].file != wanted.file:
        log.warning(
            "identity.key_store = %s counts for a new key only; the station keeps the one in %s",
            wish,
            folder / found[0].file,
        )
    return found[0]
