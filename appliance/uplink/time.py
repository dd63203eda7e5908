"""The time that signatures and events carry: the system's, or what the cloud taught us in this boot."""

from __future__ import annotations

from datetime import UTC, datetime

from firmware.clock import Clock as SystemClock
from protocol.clock import Offset, learn, parse, to_text
from protocol.messages import Clock


class CloudTime:
    """Corrected time. Its offset is on the monotonic clock, so that a jumping wall clock cannot move it."""

    def __init__(self, system: SystemClock) -> None:
        self.system = system
        self._offset: Offset | None = None
        self._signed: Offset | None = None

    def now(self) -> float:
        """Seconds since 1970, as true as this station knows."""
        if self._offset is not None and not self.system.quality().synchronized:
            return self._offset.now(self.system.monotonic())
        return self.system.wall()

    @property
    def trusted(self) -> bool:
        """Whether somebody vouches for `now`: a time server, or the cloud in this boot."""
        return self._offset is not None or self.system.quality().synchronized

    def moment(self) -> datetime:
        """`now` as an aware datetime."""
        return datetime.fromtimestamp(self.now(), UTC)

    def teach(self, server_time: str, sent: float, received: float) -> None:
        """Learns from an answer of the cloud; `sent` and `received` are monotonic seconds."""
        try:
            server = parse(server_time).timestamp()
        except (ValueError, OverflowError):
            return
        self._offset = learn(server, sent, received)

    def teach_signed(self, at: float, sent: float, received: float) -> None:
        """Learns from a signed time (seconds since 1970), which also lies in the past from now on."""
        self._offset = self._signed = learn(at, sent, received)
        self.system.raise_floor(at)

    def signed(self) -> float | None:
        """Now, in seconds since 1970, by a signed time of this boot and the monotonic clock."""
        return None if self._signed is None else self._signed.now(self.system.monotonic())

    def skew(self) -> float | None:
        """Seconds by which the system clock runs ahead of the cloud's; None before the first answer."""
        if self._offset is None:
            return None
        return self.system.wall() - self._offset.now(self.system.monotonic())

    def skew_error(self) -> float:
        """Seconds by which `skew` may be mistaken: half of the time that the answer took."""
        return 0.0 if self._offset is None else self._offset.error_s

    def source(self) -> str:
        """ntp, server, floor or unknown: what vouches for `now`."""
        quality = self.system.quality()
        if quality.synchronized:
            return quality.source.value
        return "server" if self._offset else quality.source.value

    def report(self) -> Clock:
        """The clock's quality as it is sent with claims, heartbeats and events."""
        return Clock(
            synced=self.system.quality().synchronized,
            source=self.source(),
            utc=to_text(self.moment()),
            mono_ms=int(self.system.boottime() * 1000),
            est_error_ms=self._error_ms(),
        )

    def _error_ms(self) -> float | None:
        quality = self.system.quality()
        error = (
            quality.error if quality.synchronized else self._offset.error_s if self._offset else quality.error
        )
        return None if error is None else round(error * 1000, 1)
