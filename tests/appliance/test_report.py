"""What the cloud's advice changes on the station."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from appliance.report import Condition
from appliance.telemetry.application import Application
from buffer.drains import Drains
from protocol.messages import HeartbeatAnswer


class Spread:
    """In the place of the drain: remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[float] = []

    def spread_over(self, seconds: float) -> None:
        self.told.append(seconds)


def answer(spread: float | None) -> HeartbeatAnswer:
    return HeartbeatAnswer(
        status="ok", server_time="2026-01-01T00:00:00Z", next_heartbeat_in=60, backlog_spread=spread
    )


def test_the_spread_of_the_fleet_reaches_the_drain_when_the_cloud_names_one() -> None:
    spread = Spread()
    condition = Condition(Application(now=lambda: datetime(2026, 1, 1, tzinfo=UTC)))
    condition._drain = cast("Drains", spread)
    condition.advised(answer(None))
    condition.advised(answer(7.0))
    assert spread.told == [7.0]
