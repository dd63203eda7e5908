"""Messages that programs die of: written down while crashes follow each other, sent alone, then set aside.

Leases live in memory, so a crash tells nothing about what was being sent. But after a crash the program is
wary for a while: what it takes in hand is written down first. A message that was in hand at five crashes in
a row is handed out alone; when that ends in a crash too, it is dead. A power cut is no crash.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

_KEY = "hands"
CRASHES = 5
"""So many crashes in a row with the same message in hand make it suspect."""
WARY_MS = 600_000
"""A run that lasts so long is no part of a crash loop."""


@dataclass(slots=True)
class Poison:
    """How often each message was in hand at the last crashes in a row."""

    crashes: dict[int, int] = field(default_factory=dict)
    active: bool = False
    until_ms: int | None = None

    @classmethod
    def recall(cls, connection: sqlite3.Connection, *, crashed: bool) -> Poison:
        """What the last run left; `crashed` when the program died without the machine."""
        row = connection.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
        in_hand, crashes = json.loads(row[0]) if row else ([], {})
        known = {int(message_id): count for message_id, count in crashes.items()}
        if crashed:
            known = {message_id: known.get(message_id, 0) + 1 for message_id in in_hand}
        poison = cls(known, active=crashed or bool(known))
        if poison.active:
            poison.note(connection, [])
        return poison

    def dead(self) -> list[int]:
        """Those that went alone, and the program died again."""
        return [message_id for message_id, count in self.crashes.items() if count > CRASHES]

    def alone(self, message_id: int) -> bool:
        """Whether this one has to go without company."""
        return self.crashes.get(message_id, 0) >= CRASHES

    def wary(self, now_ms: int) -> bool:
        """Whether what is taken in hand has to be written down first."""
        if not self.active:
            return False
        if self.until_ms is None:
            self.until_ms = now_ms + WARY_MS
        if now_ms >= self.until_ms:
            self.active = False
            self.crashes.clear()
        return True  # once more after the end, so that the note does not stay

    def note(self, connection: sqlite3.Connection, ids: Sequence[int]) -> None:
        """Write down what is in hand now."""
        value = json.dumps([list(ids) if self.active else [], self.crashes])
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, value))

    def forget(self, connection: sqlite3.Connection) -> None:
        """The run ends in good order."""
        connection.execute("DELETE FROM meta WHERE key = ?", (_KEY,))
