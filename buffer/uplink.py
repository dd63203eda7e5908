"""The port through which messages leave: what the drain asks of the cloud client, and the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from buffer.message import Message


@dataclass(frozen=True, slots=True)
class Delivered:
    """The other side says that it has it, now or from an earlier try.

    With a `receipt` it can be asked later whether it kept it; without one, its word is enough.
    """

    receipt: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Not this time; `after` seconds if the other side named a time, else on the ladder.

    `proves` is false for an answer that says nothing about the endpoint, neither for it nor against it.
    """

    reason: str
    after: float | None = None
    proves: bool = True


@dataclass(frozen=True, slots=True)
class Untried:
    """It was not sent, because something before it in the batch went wrong; that is no try of its own."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Never: the other side understood the message and will not take it."""

    reason: str


Outcome = Delivered | Retry | Rejected | Untried


class UplinkDown(Exception):
    """The endpoint could not be reached, or failed as a whole: refused, timed out, 5xx, 429.

    `retry_after` in seconds is the endpoint's wish. `counts` is false for a failure that says nothing about
    the endpoint, such as a certificate that cannot be checked before the clock is set. `shared` is true when
    every station must have seen the same, because the endpoint itself failed and not the way to it. `sent` is
    false when no message can be to blame, because none left this station.
    """

    def __init__(
        self,
        reason: str,
        *,
        retry_after: float | None = None,
        counts: bool = True,
        shared: bool = False,
        sent: bool = True,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.counts = counts
        self.shared = shared
        self.sent = sent


class Uplink(Protocol):
    """Speaks to the cloud."""

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Send these in this order; one outcome for each, in the same order.

        A message may have been delivered before: the other side knows it by its uuid. Raises UplinkDown when
        nothing can be said about the single messages.
        """

    async def kept(self, receipts: Sequence[str]) -> Sequence[bool]:
        """Whether the other side still has what these receipts are for, one answer for each, in order.

        Raises UplinkDown when it cannot be asked.
        """
