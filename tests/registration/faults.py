"""Faults between a client and the cloud, thrown by dice: what is lost, late or answered by somebody else."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

import aiohttp
from multidict import CIMultiDict

from tests.cloud.station_client import Reply

LATE_S = 0.3


class Fault(StrEnum):
    """What can happen to one request."""

    DROPPED_BEFORE = "the request never arrives"
    DROPPED_AFTER = "the answer never arrives"
    ERROR_BEFORE = "a proxy answers 500 in the cloud's place"
    ERROR_AFTER = "a proxy answers 500 after the cloud did its work"
    LATE = "request and answer are late"
    RESTART = "the client starts again and has forgotten everything but what it stores"


class Lost(Exception):
    """No answer, or none that says anything."""


class Restarted(Exception):
    """The client itself went down in the middle."""


@dataclass
class Dice:
    """One fault in `1 / share` requests; `thrown` counts them."""

    seed: int
    share: float = 0.1
    thrown: Counter[Fault] = field(default_factory=Counter)
    requests: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def throw(self) -> Fault | None:
        self.requests += 1
        if self._random.random() >= self.share:
            return None
        fault = self._random.choice(list(Fault))
        self.thrown[fault] += 1
        return fault

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)


async def through(dice: Dice, send: Callable[[], Awaitable[Reply]]) -> Reply:
    """One request with whatever the dice say. Raises `Lost` or `Restarted`."""
    fault = dice.throw()
    match fault:
        case Fault.DROPPED_BEFORE:
            raise Lost
        case Fault.ERROR_BEFORE:
            return Reply(500, CIMultiDict(), b"<h1>Bad gateway</h1>")
        case Fault.LATE:
            await asyncio.sleep(dice.uniform(0, LATE_S))
    try:
        reply = await send()
    except (aiohttp.ClientError, OSError, TimeoutError):
        raise Lost from None
    match fault:
        case Fault.DROPPED_AFTER:
            raise Lost
        case Fault.ERROR_AFTER:
            return Reply(500, CIMultiDict(), b"<h1>Bad gateway</h1>")
        case Fault.RESTART:
            raise Restarted
        case Fault.LATE:
            await asyncio.sleep(dice.uniform(0, LATE_S))
    return reply
