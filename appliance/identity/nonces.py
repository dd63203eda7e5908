"""Numbers for request signatures: a boot counter on disk and a sequence in memory."""

from __future__ import annotations

import threading
from pathlib import Path

from appliance.files import private_folder, write_atomically

MOST = 2**31 - 1
"""A counter beyond this is damage or mischief: the signature's form has room for ten digits only."""


class Nonces:
    """Every nonce is `<boot counter>.<sequence>`; the counter is durable before the first nonce is used."""

    def __init__(self, folder: Path) -> None:
        self._path = private_folder(folder) / "boot_counter"
        self.boot = self._stored() + 1
        self._sequence = 0
        self._raising = threading.Lock()
        self._store(self.boot)

    def _stored(self) -> int:
        """0 without a usable file: the cloud then names the counter that it expects."""
        try:
            stored = int(self._path.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return 0
        return stored if 0 <= stored < MOST else 0

    def _store(self, boot: int) -> None:
        write_atomically(self._path, str(boot).encode("ascii"))

    def next(self) -> str:
        """A nonce that this station never used before."""
        self._sequence += 1
        return f"{self.boot}.{self._sequence}"

    def raise_to(self, minimum: int) -> None:
        """Adopts the counter of the cloud after an old card image came back. Blocks for two fsyncs."""
        with self._raising:
            if self.boot < minimum <= MOST:
                self._store(minimum)
                self.boot, self._sequence = minimum, 0
