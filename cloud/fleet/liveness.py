"""What a station is about, read from its progress and not from its silence alone. Pure.

A station that sends a night's backlog is late and well; one whose backlog only gets older is not. The first
that holds is the answer:

silent      nothing was heard for as long as makes a station offline
source      it is heard, but its camera program reports that it does not work
paused      its uplink rests after failures, or is held; it says so itself
uploading   something waits, and something got through since the heartbeat before, or is on its way
stuck       something has waited for more than 15 minutes, and nothing got through
clock       its clock is not synchronised, so its times are corrected here
well        none of these
"""

from __future__ import annotations

from typing import Literal

from protocol.messages import BufferState, CameraStatus, HeartbeatRequest

Liveness = Literal["silent", "source", "paused", "uploading", "stuck", "clock", "well"]

STUCK_S = 900.0
"""Three windows of bundled uploads on a poor connection."""


def liveness(reported: HeartbeatRequest | None, *, online: bool) -> Liveness:
    """The answer for the last heartbeat; `online` as presence has it."""
    if reported is None or not online:
        return "silent"
    if _source_fails(reported.camera_status):
        return "source"
    buffer = reported.buffer
    if buffer.breaker != "closed" or reported.degradation.level == 3:
        return "paused"
    if _waits(buffer):
        if buffer.uploading:
            return "uploading"
        if _oldest_s(buffer) > STUCK_S:
            return "stuck"
    if reported.clock is not None and not reported.clock.synced:
        return "clock"
    return "well"


def _source_fails(camera: CameraStatus) -> bool:
    return bool(camera.error) or camera.connected is False


def _levels(buffer: BufferState) -> list[tuple[int, float]]:
    return [
        (level.count, level.oldest_s or 0.0)
        for level in (buffer.critical, buffer.high, buffer.normal, buffer.low)
    ]


def _waits(buffer: BufferState) -> bool:
    return any(count for count, _ in _levels(buffer))


def _oldest_s(buffer: BufferState) -> float:
    return max(oldest for _, oldest in _levels(buffer))
