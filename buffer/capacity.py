"""How much the buffer may hold and who gives way to whom; pure, the rows are removed elsewhere.

The rules:
1. The size is limited by bytes and by count, over all priorities together.
2. The reserve of a class is kept free from less urgent ones, so noise can never use up the room for an alarm.
3. Low gives way first, then Normal, oldest first, and only to something at least as urgent.
4. High gives way only when the owner's policy says so; Critical never. What then does not fit is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from buffer.message import Priority
from buffer.schema import PAGE_BYTES

ROW_BYTES = 160
"""What a row costs beside its payload, about (measured: ids, times, kind, checksum, page headers)."""

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The owner's limits; sizes in bytes, shares as parts of one.

    `ballast_bytes` are given up when the disk is full, `own_bytes` belong to the buffer from the first idle
    moment on, whatever else fills the disk.
    """

    max_bytes: int = 256 * _MIB
    max_count: int = 200_000
    max_payload: int = 4 * _MIB
    evict_high: bool = False
    reserves: tuple[float, float, float, float] = (0.20, 0.30, 0.10, 0.0)
    eviction_batch: int = 256  # one evicted row may free no page at all
    dead_count: int = 1000
    dead_share: float = 0.05
    seen_count: int = 20_000
    page_limit: int | None = None
    ballast_bytes: int = 16 * _MIB
    own_bytes: int = 32 * _MIB

    @property
    def unreserved(self) -> float:
        """The part that is open to all."""
        return 1.0 - sum(self.reserves)

    @property
    def dead_bytes(self) -> int:
        """How many bytes dead messages may keep."""
        return int(self.max_bytes * self.dead_share)

    @property
    def pages(self) -> int:
        """The hard limit of the database file, above everything the limits allow together."""
        return self.page_limit or (self.max_bytes * 5 // 4 + 16 * _MIB) // PAGE_BYTES


def _four_zeros() -> list[int]:
    return [0, 0, 0, 0]


@dataclass(slots=True)
class Usage:
    """Messages and payload bytes waiting, by priority."""

    counts: list[int] = field(default_factory=_four_zeros)
    sizes: list[int] = field(default_factory=_four_zeros)

    def add(self, priority: Priority, size: int) -> None:
        """Count one more message."""
        self.counts[priority] += 1
        self.sizes[priority] += size

    def remove(self, priority: Priority, size: int) -> None:
        """Count one message less."""
        self.counts[priority] -= 1
        self.sizes[priority] -= size

    def copy(self) -> Usage:
        """The same figures in lists of their own."""
        return Usage(self.counts[:], self.sizes[:])


@dataclass(frozen=True, slots=True)
class Shortage:
    """How much has to go before a message fits; false when it fits now."""

    bytes: int
    count: int

    def __bool__(self) -> bool:
        return self.bytes > 0 or self.count > 0

    def less(self, size: int) -> Shortage:
        """What is still missing after one message with this payload has gone."""
        return Shortage(self.bytes - footprint(1, size), self.count - 1)


def footprint(count: int, size: int) -> int:
    """About how many bytes of the file `count` messages with `size` payload bytes take."""
    return size + size // 10 + count * ROW_BYTES


def fits_easily(usage: Usage, size: int, limits: Limits) -> bool:
    """Whether one more message fits even with every reserve kept free; quick, and false in doubt."""
    count, unreserved = sum(usage.counts) + 1, limits.unreserved
    return (
        count <= limits.max_count * unreserved
        and footprint(count, sum(usage.sizes) + size) <= limits.max_bytes * unreserved
    )


def shortage(usage: Usage, priority: Priority, size: int, limits: Limits) -> Shortage:
    """What is missing for one more message of this priority, the reserves of urgent classes respected."""
    used_bytes = footprint(sum(usage.counts) + 1, sum(usage.sizes) + size)
    used_count = sum(usage.counts) + 1
    for urgent in range(priority):
        reserve = limits.reserves[urgent]
        taken = footprint(usage.counts[urgent], usage.sizes[urgent])
        used_bytes += max(0, int(limits.max_bytes * reserve) - taken)
        used_count += max(0, int(limits.max_count * reserve) - usage.counts[urgent])
    return Shortage(max(0, used_bytes - limits.max_bytes), max(0, used_count - limits.max_count))


def victims(priority: Priority, limits: Limits) -> tuple[Priority, ...]:
    """The classes that give way to this one, in order."""
    order = (
        (Priority.LOW, Priority.NORMAL, Priority.HIGH)
        if limits.evict_high
        else (Priority.LOW, Priority.NORMAL)
    )
    return tuple(victim for victim in order if victim >= priority)
