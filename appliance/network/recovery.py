"""When to look at the connection again and what to do about a bad one. Pure: time comes in, a plan goes out.

A station on a roof must never wait for a person: after the rescue hotspot has opened, the known networks are
still tried for ever, and recording never depends on any of this.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from appliance.network.quality import Quality

GOOD_CHECK_S = 30.0
POOR_CHECK_S = 60.0
FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 300.0
MAX_FAILURES = 5
"""After more failures in a row than this, the set-up hotspot opens as a rescue."""
RESCUE_RETRY_S = 180.0


class Action(StrEnum):
    """What the plan asks for now."""

    NOTHING = "nothing"
    RECONNECT = "reconnect"
    RESCUE = "rescue"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, and when (seconds on the monotonic clock) to check again."""

    action: Action
    check_at: float
    failures: int = 0


def plan(quality: Quality, before: Plan | None, now: float) -> Plan:
    """The next plan after a check at `now` that found `quality`."""
    if quality in (Quality.GOOD, Quality.EXCELLENT):
        return Plan(Action.NOTHING, now + GOOD_CHECK_S)
    if quality is Quality.POOR:
        return Plan(Action.RECONNECT, now + POOR_CHECK_S)
    failures = (before.failures if before else 0) + 1
    if failures > MAX_FAILURES:
        return Plan(Action.RESCUE, now + RESCUE_RETRY_S, failures)
    return Plan(Action.RECONNECT, now + retry_delay(failures), failures)


def retry_delay(failures: int) -> float:
    """Seconds after the `failures`-th failure in a row (1 for the first): doubling, with an upper limit."""
    doublings = min(max(failures, 1) - 1, 32)
    return min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0**doublings)


def reconnection_order(current: bytes | None, stored: Iterable[bytes]) -> list[bytes]:
    """SSIDs to try: the current network first, then the stored ones in their order, each once.

    Only stored networks are ever in it; open ones are the business of whoever was allowed to use them.
    """
    known = list(dict.fromkeys(stored))
    first = [current] if current in known and current is not None else []
    return first + [ssid for ssid in known if ssid != current]
