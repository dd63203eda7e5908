"""`buffer flush`: asks the running station to send now what waits, and may wait until it has gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from appliance.commandline.exits import CommandFailed, Exit
from appliance.commandline.local import NotRunning, call
from appliance.settings import Settings

_EVERY_S = 0.5


async def flush(settings: Settings, wait: float | None, tell: Callable[[str], None]) -> dict[str, Any]:
    """What waits afterwards. With `wait` (seconds) not before nothing waits or the time is over; `tell` is
    called with each change. Raises `CommandFailed`.
    """
    facts = await _ask(settings, "POST", "/buffer/flush")
    if wait is None:
        return facts
    deadline, told = time.monotonic() + wait, -1
    while facts["count"]:
        if facts["count"] != told:
            told = facts["count"]
            tell(f"{told} messages wait")
        if time.monotonic() >= deadline:
            break
        await asyncio.sleep(_EVERY_S)
        facts = await _ask(settings, "GET", "/buffer")
    return facts


async def _ask(settings: Settings, method: str, path: str) -> dict[str, Any]:
    try:
        status, answer = await call(settings.control_socket, method, path)
    except NotRunning:
        hint = "Start it with `meteor-appliance run`."
        raise CommandFailed(Exit.UNREACHABLE, "The station is not running.", hint) from None
    if status != 200:
        raise CommandFailed(Exit.FAILED, f"{answer['code']} {answer['detail']}")
    return answer


def lines(facts: dict[str, Any]) -> list[str]:
    """What still waits, and why."""
    if not facts["count"]:
        return ["Nothing waits."]
    depth = ", ".join(f"{name} {count}" for name, count in facts["waiting"].items() if count)
    return [f"waiting: {depth}", *_why(facts)]


def _why(facts: dict[str, Any]) -> list[str]:
    if not facts["claimed"]:
        return ["The station belongs to nobody yet, so nothing can be sent."]
    breaker = facts["breaker"]
    rows = [f"breaker: {breaker['state']}{_rest(breaker)}"]
    if facts["bulk_in_s"] > 0:
        rows.append(f"After an outage what is not critical goes in {facts['bulk_in_s']:.0f} s.")
    return rows


def _rest(breaker: dict[str, Any]) -> str:
    reason = f" ({breaker['reason']})" if breaker["reason"] else ""
    return f"{reason}, next try in {breaker['retry_in_s']:.0f} s" if breaker["retry_in_s"] > 0 else reason
