"""Time between device and cloud: RFC 3339 text and the offset learned from an exchange. Reads no clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


def to_text(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, e.g. `2026-01-01T00:00:00.000Z`."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def from_unix(seconds: float) -> str:
    """`to_text` of seconds since 1970."""
    return to_text(datetime.fromtimestamp(seconds, UTC))


def parse(text: str) -> datetime:
    """A moment from RFC 3339 text. Raises `ValueError` when it has no zone: local time is ambiguous."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("the time has no zone; end it with Z for UTC")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time lies outside the years 1 to 9999") from None


@dataclass(frozen=True)
class Offset:
    """What the device learned of the true time in this boot: true = monotonic + `base`, ± `error_s`."""

    base: float
    error_s: float

    def now(self, monotonic: float) -> float:
        """Seconds since 1970 at a reading of the monotonic clock."""
        return self.base + monotonic


def learn(server_unix: float, sent_mono: float, received_mono: float) -> Offset:
    """The offset from one exchange: the server's time belongs to the middle of the round trip."""
    middle = (sent_mono + received_mono) / 2
    return Offset(server_unix - middle, max(0.0, (received_mono - sent_mono) / 2))
