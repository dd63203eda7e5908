"""Numbers for request signatures: a boot counter on disk and a sequence in memory."""

from __future__ import annotations

from pathlib import Path

from appliance.files import private_folder, write_atomically


class Nonces:
    """Every nonce is `<boot counter>.<sequence>`; the counter is durable before the first nonce is used."""

    def __init__(self, folder: Path) -> None:
        self._path = private_folder(folder) / "boot_counter"
        self.boot = self._stored() + 1
        self._sequence = 0
        self._store()

    def _stored(self) -> int:
        try:
            return int(self._path.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return 0

    def _store(self) -> None:
        write_atomically(self._path, str(self.boot).encode("ascii"))

    def next(self) -> str:
        """A nonce that this station never used before."""
        self._sequence += 1
        return f"{self.boot}.{self._sequence}"

    def raise_to(self, minimum: int) -> bool:
        """Adopts the cloud's counter after an old card image came back. False: no change."""
        if minimum <= self.boot:
            return False
        self.boot = minimum
        self._sequence = 0
        self._store()
        return True
