"""The passwords of joined networks on the disk: one file for its owner's eyes; no radio here."""

from __future__ import annotations

from pathlib import Path

import msgspec

from appliance.files import write_atomically
from appliance.network.port import Credentials, Enterprise, Security, StaticAddress


class _Entry(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    ssid: str  # hex, because an SSID has no encoding
    passphrase: str | None
    security: str
    hidden: bool = False
    enterprise: Enterprise | None = None
    static: StaticAddress | None = None


class StoredNetworks:
    """Credentials, the most recently joined first. Methods that write block for the time of two fsyncs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[Credentials, ...] = ()

    def load(self) -> None:
        """Reads the file; without one nothing is known. Raises `ValueError` for a damaged one, `OSError`."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            self._known = ()
            return
        try:
            self._known = tuple(_from_entry(e) for e in msgspec.json.decode(data, type=list[_Entry]))
        except (msgspec.MsgspecError, ValueError) as error:
            raise ValueError(f"{self._path.name} cannot be understood: {error}") from None

    def all(self) -> tuple[Credentials, ...]:
        """What is known, the most recently joined first."""
        return self._known

    def get(self, ssid: bytes) -> Credentials | None:
        """The credentials of one network."""
        return next((known for known in self._known if known.ssid == ssid), None)

    def remember(self, credentials: Credentials) -> None:
        """Puts a network first, in place of what was known of it. Durable on return. Raises `OSError`."""
        rest = tuple(known for known in self._known if known.ssid != credentials.ssid)
        self._save((credentials, *rest))

    def forget_all(self) -> None:
        """Nothing is known afterwards. Durable on return. Raises `OSError`."""
        self._save(())

    def set_aside(self) -> None:
        """Renames a file that cannot be understood, so that it can be looked at later. Raises `OSError`."""
        self._path.replace(self._path.with_name(self._path.name + ".damaged"))
        self._known = ()

    def _save(self, known: tuple[Credentials, ...]) -> None:
        entries = [
            _Entry(k.ssid.hex(), k.passphrase, k.security.value, k.hidden, k.enterprise, k.static)
            for k in known
        ]
        write_atomically(self._path, msgspec.json.encode(entries))
        self._known = known


def _from_entry(entry: _Entry) -> Credentials:
    return Credentials(
        bytes.fromhex(entry.ssid),
        entry.passphrase,
        Security(entry.security),
        entry.hidden,
        entry.enterprise,
        entry.static,
    )
