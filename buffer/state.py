"""What the writer thread knows by heart: figures, leases and wake-up times; rebuilt from the file at start.

Only the writer thread changes it. Figures follow a transaction: taken aside when it begins, put back when it
fails. Leases change only after the commit.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from buffer.capacity import Limits, Usage
from buffer.clock import Stamp
from buffer.hands import Hands
from buffer.message import Lane, Priority, boot_of, compose_id, order_of
from buffer.poison import Poison
from buffer.record import COLUMNS, Record
from buffer.sent import Sent
from buffer.sharing import Turns
from buffer.timeline import Run, Timeline

_STAMP_EVERY_MS = 60_000
LONGEST_DELAY_MS = 3_600_000
"""No message is kept back for longer than an hour, whoever asks for it."""

LASTING = (
    "delivered", "last_delivered_ms", "evicted", "expired", "dead_dropped", "superseded", "dropped",
    "quarantined", "salvaged", "lost",
)  # fmt: skip
"""The columns of the table `tally` that are counted on and on."""
_INSERT = f"INSERT INTO messages ({COLUMNS}) VALUES ({', '.join('?' * len(COLUMNS.split(',')))})"  # noqa: S608
_KEEP_TALLY = f"UPDATE tally SET {', '.join(f'{name} = ?' for name in LASTING)}"  # noqa: S608 - constants


@dataclass(slots=True)
class Tally:
    """The figures; everything but `usage` and the dead is also kept in the table of the same name."""

    usage: Usage = field(default_factory=Usage)
    dead_count: int = 0
    dead_bytes: int = 0
    delivered: int = 0
    last_delivered_ms: int | None = None
    evicted: int = 0
    expired: int = 0
    dead_dropped: int = 0
    superseded: int = 0
    dropped: int = 0
    quarantined: int = 0
    salvaged: int = 0
    lost: int = 0

    def copy(self) -> Tally:
        """The same figures, independent of these."""
        # Spelt out, because it is done for every commit: `dataclasses.replace` takes ten times as long.
        return Tally(
            self.usage.copy(), self.dead_count, self.dead_bytes, self.delivered, self.last_delivered_ms,
            self.evicted, self.expired, self.dead_dropped, self.superseded, self.dropped,
            self.quarantined, self.salvaged, self.lost,
        )  # fmt: skip

    def shift(self, wrong: Tally, right: Tally) -> None:
        """Correct these by what a count found, whatever has changed since it began."""
        for priority in Priority:
            self.usage.counts[priority] += right.usage.counts[priority] - wrong.usage.counts[priority]
            self.usage.sizes[priority] += right.usage.sizes[priority] - wrong.usage.sizes[priority]
        self.dead_count += right.dead_count - wrong.dead_count
        self.dead_bytes += right.dead_bytes - wrong.dead_bytes

    def figures(self) -> str:
        """What otherwise only counting every row would tell, as text for the file."""
        return json.dumps([self.usage.counts, self.usage.sizes, self.dead_count, self.dead_bytes])

    def lasting(self) -> tuple[int | None, ...]:
        """The figures that a restart must not forget, in the order of LASTING."""
        return (
            self.delivered, self.last_delivered_ms, self.evicted, self.expired, self.dead_dropped,
            self.superseded, self.dropped, self.quarantined, self.salvaged, self.lost,
        )  # fmt: skip


class State:
    """Everything the operations on the file share."""

    def __init__(
        self,
        limits: Limits,
        run: Run,
        timeline: Timeline,
        tally: Tally,
        entropy: Callable[[int], bytes],
        poison: Poison,
        hands: Hands,
    ) -> None:
        self.limits = limits
        self.run = run
        self.timeline = timeline
        self.tally = tally
        self.entropy = entropy
        self.freed_media: set[str] = set()
        self.next_wakeup_ms: int | None = None
        self.turns = Turns()
        self.arrivals: list[Record] = []
        self.poison = poison
        self.hands = hands
        self._sequence = 0
        self._seen: int | None = None
        self.sent = Sent()
        self._leases: dict[int, int] = {}
        self._wakeups: list[int] = []
        self._saved = tally.copy()
        self._kept: tuple[int | None, ...] | None = None  # the first transaction writes the figures down
        self._after: list[Callable[[], None]] = []
        self._arrived: Priority | None = None
        self._last_stamp_ms = run.last_ms

    def start_over(self, run: Run, tally: Tally) -> None:
        """Go on with a fresh file: nothing is stored, nothing leased; what runs are known stays known."""
        self.run = run
        self.timeline.add(run)
        self.tally = tally
        self._saved = tally.copy()
        self._kept = None
        self._sequence = 0
        self._seen = None
        self._leases.clear()
        self.hands.hold(())
        self.sent.clear()
        self._after.clear()
        self._arrived = None
        self._last_stamp_ms = run.last_ms

    # -- the transaction ---------------------------------------------------------------------------------

    def begin(self) -> None:
        """A transaction begins."""
        self._saved = self.tally.copy()
        self._after.clear()
        self.arrivals.clear()
        self._arrived = None

    def rollback(self) -> None:
        """Nothing of the transaction happened."""
        self.tally = self._saved.copy()
        self.arrivals.clear()
        self._after.clear()
        self._arrived = None

    def insert_arrivals(self, connection: sqlite3.Connection) -> None:
        """Write the rows that came in during this transaction, all at once and in the order of the tree."""
        if self.arrivals:
            self.arrivals.sort()
            connection.executemany(_INSERT, self.arrivals)
            self.arrivals.clear()

    def before_other_work(self, connection: sqlite3.Connection) -> None:
        """What follows is no put, and may look for the rows of those before it."""
        self.insert_arrivals(connection)

    def before_commit(self, connection: sqlite3.Connection) -> None:
        """Write what waits, and the lasting figures, into the transaction that changed them."""
        self.insert_arrivals(connection)
        lasting = self.tally.lasting()
        if lasting != self._kept:
            connection.execute(_KEEP_TALLY, lasting)
            self.then(lambda: self._keep(lasting))

    def _keep(self, lasting: tuple[int | None, ...]) -> None:
        self._kept = lasting

    def committed(self) -> Priority | None:
        """The transaction is on the disk: do what waited for that; the most urgent priority now ready."""
        for action in self._after:
            action()
        self._after.clear()
        return self._arrived

    def then(self, action: Callable[[], None]) -> None:
        """Do this once the transaction is on the disk."""
        self._after.append(action)

    def arrived(self, priority: Priority) -> None:
        """A message became ready; told to those who wait when the transaction is on the disk."""
        if self._arrived is None or priority < self._arrived:
            self._arrived = priority

    def note_uptime(self, connection: sqlite3.Connection, now: Stamp, *, force: bool = False) -> None:
        """Write down, once a minute, how long this boot has lasted; the next boot's time starts there."""
        if force or now.boottime_ms - self._last_stamp_ms >= _STAMP_EVERY_MS:
            connection.execute(
                "UPDATE boots SET last_ms = ? WHERE boot = ?", (now.boottime_ms, self.run.number)
            )
            connection.execute("UPDATE tally SET figures = ?", (self.tally.figures(),))
            self._last_stamp_ms = now.boottime_ms

    def note_clean_end(self, connection: sqlite3.Connection, now: Stamp) -> None:
        """The last words of a run that ends in good order."""
        self.note_uptime(connection, now, force=True)
        connection.execute("UPDATE tally SET clean = 1")
        self.poison.forget(connection)
        self.hands.hold(())

    # -- ids and time ------------------------------------------------------------------------------------

    def next_id(self, priority: Priority, lane: Lane = Lane.EXPRESS) -> int:
        """An id never given before; a number is burnt, not reused, when its transaction fails."""
        self._sequence += 1
        return compose_id(priority, self.run.number, self._sequence, lane)

    @property
    def newest(self) -> int:
        """The order of the newest id; every later one is greater (`buffer.message.order_of`)."""
        return order_of(compose_id(Priority.LOW, self.run.number, self._sequence))

    def next_seen(self, connection: sqlite3.Connection) -> int:
        """A number for the ledger of known keys, greater than all in it; asked of the file once."""
        if self._seen is None:
            self._seen = connection.execute("SELECT coalesce(max(n), 0) FROM seen").fetchone()[0]
        self._seen += 1
        return self._seen

    def powered_on_ms(self, now: Stamp) -> int:
        """This instant on the time line of all boots."""
        return self.run.base_ms + now.boottime_ms

    def unseen_ms(self, message_id: int) -> int:
        """How much older this message is than powered-on time tells, as two synchronised clocks prove."""
        return self.timeline.unseen_ms(boot_of(message_id), self.run.number)

    # -- leases ------------------------------------------------------------------------------------------

    def leased(self, message_id: int) -> bool:
        """Whether somebody works on this message, or it is sent and not yet confirmed."""
        return message_id in self._leases or message_id in self.sent

    def take(self, ids: Iterable[int], deadline_ms: int) -> None:
        """Lease these until the deadline on the time line."""
        self._leases.update(dict.fromkeys(ids, deadline_ms))
        self.hands.hold(self._leases)
        self.wake_at(deadline_ms)

    def give_back(self, ids: Iterable[int]) -> None:
        """End the leases there are on these."""
        before = len(self._leases)
        for message_id in ids:
            self._leases.pop(message_id, None)
        if len(self._leases) != before:
            self.hands.hold(self._leases)

    def drop_old_leases(self, now_ms: int) -> None:
        """Forget leases whose holder did not come back in time, and wake-up times that are over."""
        if self._wakeups and self._wakeups[0] <= now_ms:
            while self._wakeups and self._wakeups[0] <= now_ms:
                heapq.heappop(self._wakeups)
            self._leases = {i: due for i, due in self._leases.items() if due > now_ms}
        self.next_wakeup_ms = self._wakeups[0] if self._wakeups else None

    def wake_at(self, due_ms: int) -> None:
        """Something may become ready at this time on the time line."""
        heapq.heappush(self._wakeups, due_ms)
        self.next_wakeup_ms = self._wakeups[0]
