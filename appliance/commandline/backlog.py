"""`buffer ls` and `buffer retry`: what waits, what was set aside, and another chance for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from appliance.commandline.exits import CommandFailed, Exit
from appliance.commandline.local import NotRunning, call
from appliance.paths import Paths
from appliance.settings import Settings
from buffer.clock import Stamp
from buffer.errors import StoreError
from buffer.message import Priority
from buffer.reader import open_reader
from buffer.sent import Sent


async def values(settings: Settings, limit: int, priority: str | None) -> dict[str, Any]:
    """Depth and rows. Raises `CommandFailed` without a buffer."""
    wanted, sent = Priority[priority.upper()] if priority else None, await _sent(settings)
    try:
        with open_reader(Paths(settings.data_dir).buffer_file) as reader:
            depth, rows = reader.depth(sent), reader.rows(limit, wanted, sent)
    except StoreError as error:
        raise CommandFailed(Exit.FAILED, str(error)) from None
    return {
        "levels": {
            level.name.lower(): {"count": each.count, "bytes": each.bytes, "oldest_s": each.oldest_age}
            for level, each in sorted(depth.levels.items())
        },
        "dead": depth.dead,
        "delivered": depth.delivered,
        "evicted": depth.evicted,
        "expired": depth.expired,
        "rows": [
            {
                "uuid": row.uuid,
                "kind": row.kind,
                "priority": row.priority.name.lower(),
                "state": row.state,
                "bytes": row.size,
                "media": row.media,
                "age_s": round(row.age, 1),
                "tries": row.retry_count,
                "key": row.idempotency_key,
                "reason": row.reason,
            }
            for row in rows
        ],
    }


async def _sent(settings: Settings) -> Sent:
    """What the running station has sent and not yet confirmed; without one everything in the file waits."""
    sent = Sent()
    try:
        status, answer = await call(settings.control_socket, "GET", "/buffer")
    except (NotRunning, CommandFailed):
        return sent
    if status == 200:
        sent.hold({int(message_id): int(size) for message_id, size in answer["sent"]}, Stamp(0, 0))
    return sent


async def retry(settings: Settings, names: Sequence[str]) -> dict[str, Any]:
    """Asks the running station to try its dead messages again: all, or those with these UUIDs or keys.

    Raises `CommandFailed`.
    """
    try:
        status, answer = await call(
            settings.control_socket, "POST", "/buffer/retry", json={"names": list(names)}
        )
    except NotRunning:
        hint = "Start it with `meteor-appliance run`."
        raise CommandFailed(Exit.UNREACHABLE, "The station is not running.", hint) from None
    if status != 200:
        raise CommandFailed(Exit.FAILED, f"{answer['code']} {answer['detail']}")
    return answer


def retried(facts: dict[str, Any]) -> list[str]:
    """How many, and what was not found."""
    return [
        f"{facts['revived']} messages wait again.",
        *(f"! {name} is not among those that were set aside." for name in facts["unknown"]),
    ]


def lines(facts: dict[str, Any]) -> list[str]:
    """A small table."""
    depth = ", ".join(f"{name} {level['count']}" for name, level in facts["levels"].items())
    rows = [f"waiting: {depth}; dead {facts['dead']}; delivered {facts['delivered']}"]
    if not facts["rows"]:
        return [*rows, "Nothing waits."]
    rows.append(f"{'priority':<9} {'state':<8} {'kind':<6} {'bytes':>8} {'age':>9} {'tries':>5}  key")
    for row in facts["rows"]:
        rows.append(
            f"{row['priority']:<9} {row['state']:<8} {row['kind']:<6} {row['bytes']:>8} {row['age_s']:>8.0f}s"
            f" {row['tries']:>5}  {row['key'] or row['uuid']}"
        )
        if row["reason"]:
            rows.append(f"          {row['reason']}")
    return rows
