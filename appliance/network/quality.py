"""How good a connection is, from four measurements. Pure: measures nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAX_LOSS = 0.1
"""A greater fraction of lost packets counts as no connection."""
POOR_LATENCY_MS = 500.0
POOR_BANDWIDTH_MBPS = 1.0
EXCELLENT_LATENCY_MS = 100.0
EXCELLENT_BANDWIDTH_MBPS = 10.0


class Quality(StrEnum):
    """From useless to excellent."""

    NONE = "none"
    POOR = "poor"
    GOOD = "good"
    EXCELLENT = "excellent"


@dataclass(frozen=True, slots=True)
class Measurement:
    """Round trip in ms, throughput in Mbit/s, lost fraction 0-1, and whether names can be looked up.

    None means not measured: it makes nothing worse, but without latency and bandwidth nothing is excellent.
    """

    dns: bool
    latency_ms: float | None = None
    bandwidth_mbps: float | None = None
    loss: float = 0.0


def judge(seen: Measurement) -> Quality:
    """The quality of a connection; the limits themselves belong to the better side."""
    if not seen.dns or seen.loss > MAX_LOSS:
        return Quality.NONE
    latency, bandwidth = seen.latency_ms, seen.bandwidth_mbps
    if latency is not None and latency > POOR_LATENCY_MS:
        return Quality.POOR
    if bandwidth is not None and bandwidth < POOR_BANDWIDTH_MBPS:
        return Quality.POOR
    if latency is None or bandwidth is None:
        return Quality.GOOD
    excellent = latency < EXCELLENT_LATENCY_MS and bandwidth > EXCELLENT_BANDWIDTH_MBPS
    return Quality.EXCELLENT if excellent else Quality.GOOD
