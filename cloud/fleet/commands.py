"""Orders for stations: queued by persons, handed out until acknowledged. Delivered at least once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, insert, select, update

from cloud.realtime.bus import Bus
from cloud.security import audit
from cloud.security.access import Need, reachable
from cloud.store.engine import Database
from cloud.store.schema import command
from cloud.validation import check_nesting
from protocol.clock import from_unix
from protocol.codes import ulid
from protocol.errors import Refusal
from protocol.messages import Answer, Command, CommandAck, Request, Text

MOST_OPEN = 100
NEWS = "command-status"
_DONE = ("SUCCEEDED", "FAILED", "TIMED_OUT", "REJECTED", "CANCELED")
_OPEN = (
    select(command)
    .where(command.c.device_id == bindparam("station"), command.c.state.in_(("QUEUED", "IN_PROGRESS")))
    .order_by(command.c.id)
)


class CommandRequest(Request):
    """POST /devices/:id/commands: an order of the owner; `timeout` in seconds."""

    type: Text
    parameters: dict[str, Any] = {}
    timeout: int = 300
    priority: Literal["low", "normal", "high", "critical"] = "normal"


class CommandState(Answer):
    """What became of an order."""

    id: str
    type: str
    state: str
    detail: str | None
    created_ms: int


class CommandList(Answer):
    """GET /devices/:id/commands: the orders that wait for this station, oldest first."""

    commands: list[Command]


class Commands:
    """The orders of all stations."""

    def __init__(self, database: Database, bus: Bus, unix_ms: Callable[[], int]) -> None:
        self._db, self._bus, self._unix_ms = database, bus, unix_ms

    async def queue(self, account_id: str, device_id: str, order: CommandRequest) -> CommandState:
        """Puts an order in line. Raises `not_found`, 403 for a viewer, and REG-006 when too many wait."""
        check_nesting(order.parameters, "$.parameters")
        owner, queued = await self._db.write(partial(self._queue, account_id, device_id, order))
        self._bus.wake_station(device_id)
        self._bus.publish(owner, NEWS, news(device_id, queued.id, queued.state, None, queued.created_ms))
        return queued

    def _queue(
        self, account_id: str, device_id: str, order: CommandRequest, connection: Connection
    ) -> tuple[str, CommandState]:
        station, _ = reachable(connection, account_id, device_id, Need.COMMAND)
        if len(waiting(connection, device_id)) >= MOST_OPEN:
            raise Refusal(
                "REG-006", "too_many_open", "Too many orders wait for this station.", retry_after=60
            )
        now = self._unix_ms()
        row = {
            "id": ulid("cmd_", now),
            "device_id": device_id,
            "author": account_id,
            "type": order.type[:40],
            "parameters": order.parameters,
            "priority": order.priority,
            "timeout": min(max(order.timeout, 1), 86400),
            "state": "QUEUED",
            "created": now,
            "updated": now,
        }
        connection.execute(insert(command).values(**row))
        audit.record(
            connection,
            now,
            f"person:{account_id}",
            "command_queued",
            device_id,
            type=row["type"],
            id=row["id"],
        )
        queued = CommandState(
            id=str(row["id"]), type=str(row["type"]), state="QUEUED", detail=None, created_ms=now
        )
        return station.account_id, queued

    async def last(self, account_id: str, device_id: str, most: int) -> Sequence[CommandState]:
        """The newest orders of a station and what became of them. Raises `not_found`."""

        def read(connection: Connection) -> Sequence[CommandState]:
            reachable(connection, account_id, device_id, Need.READ)
            own = select(command).where(command.c.device_id == device_id)
            rows = connection.execute(own.order_by(command.c.id.desc()).limit(most)).all()
            return [
                CommandState(
                    id=row.id, type=row.type, state=row.state, detail=row.detail, created_ms=row.created
                )
                for row in rows
            ]

        return await self._db.read(read)

    async def waiting(self, device_id: str) -> CommandList:
        """What a station should do, oldest first."""
        return CommandList(commands=list(await self._db.read(partial(waiting, device_id=device_id))))


def waiting(connection: Connection, device_id: str) -> Sequence[Command]:
    """Orders that are not done, oldest first, inside a transaction."""
    return [
        Command(
            id=row.id, type=row.type, parameters=row.parameters, timeout=row.timeout, priority=row.priority
        )
        for row in connection.execute(_OPEN, {"station": device_id})
    ]


def acknowledge(
    connection: Connection, device_id: str, acks: Iterable[CommandAck], now_ms: int
) -> Sequence[CommandAck]:
    """Keeps what a station says of its own orders, and returns what was kept.

    Foreign and finished orders stay as they are.
    """
    return [
        ack
        for ack in acks
        if connection.execute(
            update(command)
            .where(command.c.id == ack.id, command.c.device_id == device_id, command.c.state.not_in(_DONE))
            .values(state=ack.state, detail=ack.detail, updated=now_ms)
        ).rowcount
    ]


def news(device_id: str, order: str, state: str, detail: str | None, now_ms: int) -> dict[str, Any]:
    """What is told of an order when it is queued and whenever its station acknowledges it."""
    told = {"deviceId": device_id, "commandId": order, "state": state, "detail": detail}
    return told | {"timestamp": from_unix(now_ms / 1000)}
