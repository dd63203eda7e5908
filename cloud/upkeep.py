"""What must be done now and then: closing what ran out, forgetting what is old, noticing who fell silent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from sqlalchemy import delete, select

from cloud.store.engine import Database
from cloud.store.schema import device_key, replay

log = logging.getLogger(__name__)

Duty = Callable[[], Awaitable[object]]

_KEEP_NONCES_MS = 24 * 3600 * 1000


async def forget_strangers(database: Database, unix_ms: Callable[[], int]) -> None:
    """Drops the nonces of keys that never became a station's; their requests are too old to be replayed."""
    old = replay.c.used < unix_ms() - _KEEP_NONCES_MS
    unknown = replay.c.keyid.not_in(select(device_key.c.keyid))
    await database.write(lambda c: c.execute(delete(replay).where(old, unknown)).close())


async def run(duties: Mapping[str, Duty], interval_s: float) -> None:
    """Does every duty every `interval_s` seconds until cancelled; a failure is logged once per episode."""
    failing: set[str] = set()
    while True:
        for name, duty in duties.items():
            await _do(name, duty, failing)
        await asyncio.sleep(interval_s)


async def _do(name: str, duty: Duty, failing: set[str]) -> None:
    try:
        await duty()
    except Exception as error:  # the outermost edge of this task: the other duties go on
        if name not in failing:
            log.exception("upkeep: %s failed", name, exc_info=error)
        failing.add(name)
    else:
        if name in failing:
            log.info("upkeep: %s works again", name)
        failing.discard(name)


def strangers(database: Database, unix_ms: Callable[[], int]) -> Duty:
    """`forget_strangers` as a duty."""
    return partial(forget_strangers, database, unix_ms)
