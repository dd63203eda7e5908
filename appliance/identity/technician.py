"""The technician's PIN, random for each station, and the count of wrong tries, which no restart forgets."""

from __future__ import annotations

from pathlib import Path

import msgspec

from appliance.files import private_folder, write_atomically
from protocol.codes import new_pin


class Kept(msgspec.Struct, frozen=True):
    """What is on disk: six digits, and how many wrong ones were tried since the last right one."""

    pin: str
    wrong: int = 0

    def __repr__(self) -> str:
        return f"Kept(wrong={self.wrong})"


class TechnicianFile:
    """Made once and kept until a reset, like the hotspot's key; derived from nothing."""

    def __init__(self, folder: Path) -> None:
        self._path = private_folder(folder) / "technician.json"

    def current(self) -> Kept:
        """The PIN, made and stored at the first call. Blocks for small file work. Raises `OSError`."""
        return read(self._path) or self.renew()

    def renew(self) -> Kept:
        """Another PIN, of which nobody has tried any. Blocks for two fsyncs. Raises `OSError`."""
        return self.keep(Kept(new_pin()))

    def keep(self, kept: Kept) -> Kept:
        """Puts it on disk. Blocks for two fsyncs. Raises `OSError`."""
        write_atomically(self._path, msgspec.json.encode(kept))
        return kept


def read(path: Path) -> Kept | None:
    """What is in the file; None without one and when it is damaged. Raises `OSError`."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=Kept)
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return kept if len(kept.pin) == 6 and kept.pin.isascii() and kept.pin.isdigit() else None
