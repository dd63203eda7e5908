"""Who goes next when several priorities wait: Critical first, the others share by bytes; pure.

Deficit round robin: in every round a class may send so many bytes more, High six times and Normal three times
what Low may. What it does not use while it still waits it keeps for the next round; a class that has nothing
left keeps nothing. So a long backlog of High slows Low down and never stops it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from buffer.message import Priority

T = TypeVar("T")
SHARES = {Priority.HIGH: 6, Priority.NORMAL: 3, Priority.LOW: 1}
QUANTUM = 4096
"""Bytes that one share is worth in one round."""


@dataclass(slots=True)
class Turns:
    """Where the round stands; lasts from lease to lease."""

    credit: dict[Priority, int] = field(default_factory=lambda: dict.fromkeys(SHARES, 0))
    turn: int = 0
    begun: bool = False


class Heads(Generic[T]):
    """The next of one class, looked at before it is taken."""

    def __init__(self, source: Generator[T, None, None]) -> None:
        self._source = source
        self._next: T | None = None

    def peek(self) -> T | None:
        """The next, or None."""
        if self._next is None:
            self._next = next(self._source, None)
        return self._next

    def close(self) -> None:
        """Let go of the source."""
        self._source.close()

    def take(self) -> None:
        """Go on to the one after."""
        self._next = None


def shared(
    queues: dict[Priority, Heads[T]], turns: Turns, size: Callable[[T], int], fits: Callable[[T], bool]
) -> Iterator[T]:
    """The messages of these classes in the order in which they may go, until one does not fit."""
    order: Sequence[Priority] = tuple(SHARES)
    while any(queue.peek() is not None for queue in queues.values()):
        priority = order[turns.turn]
        queue = queues.get(priority)
        head = queue.peek() if queue else None
        if head is None:
            turns.credit[priority] = turns.credit[priority] if queue is None else 0
        elif queue is not None:
            if not turns.begun:
                turns.credit[priority] += SHARES[priority] * QUANTUM
                turns.begun = True
            while head is not None and size(head) <= turns.credit[priority]:
                if not fits(head):
                    return
                turns.credit[priority] -= size(head)
                queue.take()
                yield head
                head = queue.peek()
        turns.turn = (turns.turn + 1) % len(order)
        turns.begun = False
