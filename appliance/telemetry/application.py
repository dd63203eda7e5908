"""What the program counts: events of the current UTC day, and errors since it started."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from protocol.messages import ErrorCounts


@dataclass(frozen=True, slots=True)
class Counts:
    """One reading."""

    detected_today: int
    uploaded_today: int
    errors: ErrorCounts


class Application:
    """Counters. The day turns over by `now`, which gives aware UTC times."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._day = now().date()
        self._detected = 0
        self._uploaded = 0
        self._errors = {"camera": 0, "network": 0, "storage": 0, "detection": 0}

    def detected(self, count: int = 1) -> None:
        """Events came in."""
        self._turn()
        self._detected += count

    def uploaded(self, count: int = 1) -> None:
        """The cloud took events."""
        self._turn()
        self._uploaded += count

    def failed(self, kind: str) -> None:
        """An error; `kind` is camera, network, storage or detection. Raises `KeyError` for another."""
        self._errors[kind] += 1

    def counts(self) -> Counts:
        """The counters now."""
        self._turn()
        return Counts(
            self._detected,
            self._uploaded,
            ErrorCounts(
                camera_errors=self._errors["camera"],
                network_errors=self._errors["network"],
                storage_errors=self._errors["storage"],
                detection_errors=self._errors["detection"],
            ),
        )

    def _turn(self) -> None:
        today: date = self._now().date()
        if today != self._day:
            self._day, self._detected, self._uploaded = today, 0, 0
