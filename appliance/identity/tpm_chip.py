"""The way to a TPM 2.0: opened for one piece of work, with errors that say what a person can do.

The library (tpm2-pytss; PyPI's `pytss` is another one) is imported only when a key in the TPM is used.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from appliance.identity.keys import KeyUnavailable

DEVICE = "device:/dev/tpmrm0"
"""The kernel's resource manager, so that others may use the TPM beside this station."""

_NO_LIBRARY = (
    "The device key is wanted in the TPM, and the library for it is missing ({why}). "
    "Install it with `apt install python3-tpm2-pytss`, and restart the station."
)


def library() -> Any:
    """The TPM's library. Raises `KeyUnavailable` where it is missing."""
    try:
        import tpm2_pytss
    except (ImportError, OSError) as error:  # the second for one of its shared objects
        raise KeyUnavailable(_NO_LIBRARY.format(why=error)) from None
    return tpm2_pytss


class Chip:
    """One TPM, by the name that its library gives it (TCTI): `device:/dev/tpmrm0`."""

    def __init__(self, name: str = DEVICE) -> None:
        self.name = name
        self._one_at_a_time = threading.Lock()

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """The TPM, for one piece of work (an `ESAPI`). Blocks while others use it.

        Raises `KeyUnavailable` when it cannot be opened and when a command fails inside.
        """
        tss = library()
        self._reachable()
        with self._one_at_a_time:
            try:
                tpm = tss.ESAPI(self.name)
            except tss.TSS2_Exception as error:
                raise KeyUnavailable(
                    f"The TPM {self.name} cannot be opened ({error}). Check identity.tpm and that the TPM is "
                    "switched on in the firmware of the machine."
                ) from None
            try:
                yield tpm
            except tss.TSS2_Exception as error:
                raise KeyUnavailable(self._explained(tss, error)) from None
            finally:
                tpm.close()

    def _reachable(self) -> None:
        """Says what the library would only print: no such device, or no right to use it."""
        kind, _, path = self.name.partition(":")
        if kind != "device" or not path:
            return
        if not Path(path).exists():
            raise KeyUnavailable(
                f"The device key is wanted in the TPM, and there is no {path}. Switch the TPM on in the "
                "firmware of the machine, or load its driver, and restart the station."
            )
        if not os.access(path, os.R_OK | os.W_OK):
            raise KeyUnavailable(
                f"The station may not use {path}. Add its user to the group `tss`, and restart the station."
            )

    def _explained(self, tss: Any, error: Any) -> str:
        if error.error == tss.TPM2_RC.LOCKOUT:
            return (
                f"The TPM {self.name} is locked after wrong passwords. Wait until it opens by itself, or "
                "end the lockout with `tpm2_dictionarylockout --clear-lockout`."
            )
        if error.error in (tss.TPM2_RC.BAD_AUTH, tss.TPM2_RC.AUTH_FAIL):
            return (
                f"The owner hierarchy of the TPM {self.name} has a password, and the station knows none. "
                "Take the password away with `tpm2_changeauth -c owner`."
            )
        return f"The TPM {self.name} does not do its work ({error}). Restart the machine; see the log."
