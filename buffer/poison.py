"""Messages that programs die of: noted while they are in hand, sent alone, then set aside.

A message that was in hand at five crashes in a row is handed out alone; when that ends in a crash too, it is
dead. A power cut is no crash, and a run that lasts is no part of a row.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

_KEY = "hands"
CRASHES = 5
"""So many crashes in a row with the same message in hand make it suspect."""
CALM_MS = 600_000
"""A run that lasts so long is no part of a crash loop."""


@dataclass(slots=True)
class Poison:
    """How often each message was in hand at the last crashes in a row."""

    crashes: dict[int, int] = field(default_factory=dict)
    calm_at_ms: int | None = None

    @classmethod
    def recall(cls, connection: sqlite3.Connection, in_hand: Sequence[int], *, crashed: bool) -> Poison:
        """What is known after the last run; `crashed` when the program died without the machine."""
        row = connection.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
        found = json.loads(row[0]) if row else {}
        before = found if isinstance(found, dict) else {}  # an earlier version wrote a list
        known = {int(message_id): count for message_id, count in before.items()}
        if crashed:
            known = {message_id: known.get(message_id, 0) + 1 for message_id in in_hand}
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, json.dumps(known)))
        return cls(known)

    def dead(self) -> list[int]:
        """Those that went alone, and the program died again."""
        return [message_id for message_id, count in self.crashes.items() if count > CRASHES]

    def alone(self, message_id: int) -> bool:
        """Whether this one has to go without company."""
        return self.crashes.get(message_id, 0) >= CRASHES

    def has_calmed(self, now_ms: int) -> bool:
        """True once, when the run has lasted long enough to end every suspicion; `forget` should follow."""
        if not self.crashes:
            return False
        if self.calm_at_ms is None:
            self.calm_at_ms = now_ms + CALM_MS
        if now_ms < self.calm_at_ms:
            return False
        self.crashes.clear()
        return True

    def forget(self, connection: sqlite3.Connection) -> None:
        """The run ends in good order, or has lasted."""
        connection.execute("DELETE FROM meta WHERE key = ?", (_KEY,))
