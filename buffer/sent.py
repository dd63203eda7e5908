"""What the other side said yes to and was not yet asked about again: nobody gets it, and it does not wait.

Kept in memory only. After a crash these messages wait again and are sent a second time, which the other side
knows by their ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from buffer.capacity import Usage
from buffer.clock import Stamp
from buffer.message import priority_of


class Sent:
    """The ids with their payload sizes in bytes; changed by the writer thread alone."""

    def __init__(self) -> None:
        self.usage = Usage()
        self.last_ms: int | None = None
        self._sizes: dict[int, int] = {}

    def __contains__(self, message_id: object) -> bool:
        return message_id in self._sizes

    def __len__(self) -> int:
        return len(self._sizes)

    def sizes(self) -> dict[int, int]:
        """All of them, as they are at this moment; for any thread."""
        return self._sizes.copy()

    def hold(self, sizes: Mapping[int, int], now: Stamp) -> None:
        """The other side has just said yes to these."""
        for message_id, size in sizes.items():
            if message_id not in self._sizes:
                self._sizes[message_id] = size
                self.usage.add(priority_of(message_id), size)
        self.last_ms = now.wall_ms

    def let_go(self, ids: Iterable[int]) -> None:
        """These are gone, or wait again."""
        for message_id in ids:
            if (size := self._sizes.pop(message_id, None)) is not None:
                self.usage.remove(priority_of(message_id), size)

    def clear(self) -> None:
        """None of them is known any more."""
        self._sizes.clear()
        self.usage = Usage()
