"""The claim card: the PIN and the link secret that stand beside the short id until the station is claimed."""

from __future__ import annotations

from pathlib import Path

import msgspec

from appliance.files import private_folder, write_atomically
from protocol.codes import claim_link, new_link_secret, new_pin


class Card(msgspec.Struct, frozen=True):
    """What a person needs to claim the station."""

    short_id: str
    pin: str
    link_secret: str

    def __repr__(self) -> str:
        return f"Card({self.short_id})"

    def link(self, cloud_url: str) -> str:
        """The text of the QR code."""
        return claim_link(cloud_url, self.short_id, self.link_secret)


class CardFile:
    """The card on disk, so that a power cut never shows a second PIN for a live claim."""

    def __init__(self, folder: Path, short_id: str) -> None:
        self._path = private_folder(folder) / "card.json"
        self._short_id = short_id
        self.known: Card | None = None
        """The card, once `current` was asked for it: free to read as often as a page wants."""

    def current(self) -> Card:
        """The card, read or made and stored at the first call, which may block for two fsyncs."""
        if self.known is None:
            self.known = self._read() or self.renew()
        return self.known

    def _read(self) -> Card | None:
        try:
            card = msgspec.json.decode(self._path.read_bytes(), type=Card)
        except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return card if card.short_id == self._short_id else None

    def renew(self) -> Card:
        """A new PIN and a new link, after too many wrong tries. Blocks for two fsyncs."""
        card = Card(self._short_id, new_pin(), new_link_secret())
        write_atomically(self._path, msgspec.json.encode(card))
        self.known = card
        return card
