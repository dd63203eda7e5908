"""The hotspot's key: random for each station, or what its owner chose; never derived from anything that can
be read off the board."""

from __future__ import annotations

import secrets
from pathlib import Path

from appliance.files import private_folder, write_atomically

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""No look-alikes, and nothing that the WIFI: QR format must escape."""
_CHOSEN = "chosen:"


class HotspotKey:
    """Twelve characters, about 59 bits, the same at every return of the hotspot so that phones rejoin."""

    def __init__(self, folder: Path) -> None:
        self._path = private_folder(folder) / "hotspot.key"

    def current(self) -> str:
        """The key, made and stored at the first call. Blocks for small file work."""
        try:
            key = self._path.read_text(encoding="ascii")
        except (FileNotFoundError, UnicodeDecodeError):
            key = ""
        if len(key) == 12 and set(key) <= set(_LETTERS):
            return key
        if key.startswith(_CHOSEN) and 8 <= len(key) - len(_CHOSEN) <= 63:
            return key.removeprefix(_CHOSEN)
        key = "".join(secrets.choice(_LETTERS) for _ in range(12))
        write_atomically(self._path, key.encode("ascii"))
        return key

    def is_chosen(self) -> bool:
        """Whether somebody chose the key, and so knows it without a display. Blocks for a small file."""
        try:
            return self._path.read_bytes().startswith(_CHOSEN.encode())
        except FileNotFoundError:
            return False

    def choose(self, key: str) -> None:
        """Takes the owner's own key, of 8 to 63 ASCII characters. Durable on return. Raises `OSError`."""
        write_atomically(self._path, (_CHOSEN + key).encode("ascii"))
