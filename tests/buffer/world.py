"""A clock that tests set and a few ready drafts; no test lives here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from buffer.message import Draft, Lane, Priority

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class ManualClock:
    """Both clocks, moved by hand; `reboot` starts a new boot from zero."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.wall = START
        self.boot = "boot-1"

    def boottime(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return self.wall

    def boot_id(self) -> str:
        return self.boot

    def pass_time(self, seconds: float) -> None:
        """Let both clocks go on."""
        self.seconds += seconds
        self.wall += timedelta(seconds=seconds)

    def reboot(self, name: str, *, powered_off: float = 0.0) -> None:
        """Switch off, wait, switch on."""
        self.boot = name
        self.seconds = 5.0
        self.wall += timedelta(seconds=powered_off)


def draft(
    priority: Priority = Priority.NORMAL,
    payload: bytes = b"{}",
    *,
    key: str | None = None,
    expires_in: float | None = None,
    kind: str = "event",
    lane: Lane = Lane.EXPRESS,
) -> Draft:
    """A small message."""
    return Draft(kind, payload, priority, idempotency_key=key, expires_in=expires_in, lane=lane)
