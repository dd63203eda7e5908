"""Sizes, lives and rates that device and cloud agree on, and the token bucket that keeps a rate. Pure."""

from __future__ import annotations

from dataclasses import dataclass

CLAIM_TOKEN_LIFE_S = (60, 300)
"""Shortest and longest life of a claim token."""
CLAIM_LIFE_S = 900
"""Life of a device-code claim and of a person's expectation."""
CHALLENGE_LIFE_S = 120
REPEAT_WINDOW_S = 900
"""How long a lost claim answer can be fetched again, byte for byte."""
MAX_ATTEMPTS = 5
"""Wrong codes before a claim is void."""

SIGNATURE_LIFE_S = 300
CLOCK_TOLERANCE_S = 300

MAX_JSON_BYTES = 256 * 1024
MAX_EVENT_BYTES = 64 * 1024
MAX_BATCH_EVENTS = 100
MAX_KEPT_QUESTIONS = 500
"""So many events, and so many files, may be asked about in one request."""
MAX_MEDIA_PER_EVENT = 64
MAX_MEDIA_BYTES = 2 * 1024**3
MAX_CHUNK_BYTES = 4 * 1024**2
MAX_WS_FRAME_BYTES = 64 * 1024
MAX_NESTING = 32
"""Lists and objects in each other, in values of free form such as an event's `metadata`."""
MAX_COUNT = 2**53 - 1
"""The largest integer that every JSON parser keeps exactly (RFC 8259 §6)."""
BODY_SILENCE_S = 60
"""So long a body may pause on its way."""

HEARTBEAT_INTERVAL_S = 60
OFFLINE_AFTER_S = 300


@dataclass(frozen=True)
class Rate:
    """`count` actions in `seconds`, with at most `burst` at once."""

    count: int
    seconds: int
    burst: int


USER_CLAIMS = Rate(10, 3600, 10)
USER_CODE_ATTEMPTS = Rate(5, 300, 5)
DEVICE_CODE_STARTS = Rate(6, 3600, 6)
ADDRESS_CODE_STARTS = Rate(60, 3600, 60)
DEVICE_HEARTBEATS = Rate(120, 3600, 10)
DEVICE_DATA = Rate(1000, 3600, 100)
DEVICE_QUESTIONS = Rate(240, 3600, 20)
SIGN_IN_ATTEMPTS = Rate(10, 300, 10)


@dataclass(frozen=True)
class Bucket:
    """The state of one token bucket: tokens left at a time (seconds on any steady clock)."""

    tokens: float
    at: float


def take(bucket: Bucket | None, rate: Rate, now: float) -> tuple[Bucket, float]:
    """Takes one token at `now`. Returns the new state and the seconds to wait: 0 means granted."""
    speed = rate.count / rate.seconds
    if bucket is None:
        tokens = float(rate.burst)
    else:
        tokens = min(rate.burst, bucket.tokens + max(0.0, now - bucket.at) * speed)
    if tokens >= 1:
        return Bucket(tokens - 1, now), 0.0
    return Bucket(tokens, now), (1 - tokens) / speed
