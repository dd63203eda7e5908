"""What was recorded for an owner who gave the station up: it goes to nobody else, whoever claims next.

At a release the place of the newest message is noted with the id that the station had, in the buffer itself:
so the note lives as long as the messages, also through a rescue of the file, and no clock is asked. A message
up to that place belongs to that id alone. The same id comes back only when the release was a forged one.
"""

from __future__ import annotations

import logging

import msgspec

from buffer.message import order_of
from buffer.store import Store

log = logging.getLogger(__name__)

REASON = "recorded for a former owner of this station"
"""Why such a message is set aside; it stays on the station as every refused one does."""
_NOTE = "former_owners"
_MOST = 64


class _Left(msgspec.Struct, frozen=True):
    device_id: str
    up_to: int


class FormerOwners:
    """`load` comes before the first question. Every method that writes raises `StoreError`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._left: list[_Left] | None = None

    async def left(self, device_id: str) -> None:
        """Whoever had `device_id` gave it up. Durable before it returns; twice is as good as once."""
        before = await self._known()
        up_to = await self._store.newest()
        others = [each for each in before if each.device_id != device_id]
        kept = [*others, _Left(device_id, up_to)][-_MOST:]
        await self._store.set_meta(_NOTE, msgspec.json.encode(kept).decode())
        self._left = kept

    async def has(self, message_id: int, device_id: str) -> bool:
        """Whether this message was recorded for somebody else than who has `device_id` now."""
        order = order_of(message_id)
        return any(order <= each.up_to and each.device_id != device_id for each in await self._known())

    async def _known(self) -> list[_Left]:
        if self._left is None:
            text = await self._store.get_meta(_NOTE)
            try:
                self._left = [] if text is None else msgspec.json.decode(text, type=list[_Left])
            except msgspec.MsgspecError as error:
                log.error("what is known of former owners is damaged: %s", error)
                self._left = []
        return self._left
