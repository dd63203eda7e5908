"""What came in through the doors, counted for the pages; and the station's own notes about its life."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from appliance import __version__
from appliance.sources.accept import Accepted, Intake
from appliance.sources.schema import Observation
from appliance.uplink.time import CloudTime
from buffer.message import MediaRef
from protocol.clock import to_text

SHOWN_TYPES = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})
SHOWN_BYTES = 4 << 20


def can_be_shown(file: MediaRef) -> bool:
    """Whether a browser shows it, and a phone loads it in a moment."""
    return file.mime in SHOWN_TYPES and file.size <= SHOWN_BYTES


@dataclass(frozen=True)
class IntakeStats:
    """Events since the program started; `rejected` counts what lies in the spool's folder of that name.

    `picture` is the last one that came with an event.
    """

    accepted: int = 0
    last: datetime | None = None
    rejected: int = 0
    trouble: str | None = None
    picture: MediaRef | None = None


class IntakeLog:
    """Observer of the intake."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._accepted = 0
        self._last: datetime | None = None
        self._picture: MediaRef | None = None

    def took(self, accepted: Accepted) -> None:
        """One event was accepted."""
        if accepted.duplicate or accepted.event_type.startswith("station_"):
            return
        self._accepted += 1
        self._last = self._now()
        self._picture = next(filter(can_be_shown, accepted.files), self._picture)

    def stats(self, spool: Path, trouble: str | None) -> IntakeStats:
        """The counts now. Lists one folder, so call it in a thread."""
        rejected = sum(1 for _ in (spool / "rejected").glob("*.reason.txt"))
        return IntakeStats(self._accepted, self._last, rejected, trouble, self._picture)


async def note(intake: Intake, time: CloudTime, what: str, key: str, details: dict[str, object]) -> None:
    """Puts one of the station's own notes (`station_started`, …) into the buffer.

    `key` makes a repeated note a duplicate. Raises `StoreError`.
    """
    observation = Observation(
        event_type=f"station_{what}",
        timestamp=to_text(time.moment()),
        client_event_id=f"station:{what}:{key}",
        priority="normal",
        metadata={"software": __version__, **details},
    )
    async with intake.delivery() as delivery:
        await delivery.accept(observation, [], "station")
