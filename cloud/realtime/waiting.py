"""What waits for a station that is connected, and that it is there. No sockets here.

What is told follows from the store alone and not from what was published: nothing is missed by who was away,
or by who is connected to another process than the one that took the order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select, update

from cloud.fleet.commands import waiting
from cloud.fleet.presence import is_online
from cloud.store.fleet import desired_version
from cloud.store.schema import device

_SEEN = select(device.c.account_id, device.c.last_seen_ms).where(device.c.id == bindparam("station"))
_REPORTED = select(device.c.config_version_reported).where(device.c.id == bindparam("station"))


@dataclass(frozen=True)
class Waiting:
    """Ids of open orders, oldest first, and the version of a configuration that the station lacks."""

    orders: tuple[str, ...] = ()
    configuration: int | None = None

    def beyond(self, told: Waiting) -> Iterator[tuple[str, str | int]]:
        """Event and id of what waits now and was not told."""
        if self.configuration is not None and self.configuration != told.configuration:
            yield "config-updated", self.configuration
        for order in self.orders:
            if order not in told.orders:
                yield "command", order


def what_waits(connection: Connection, device_id: str) -> Waiting:
    """The present state, inside a transaction."""
    reported = connection.execute(_REPORTED, {"station": device_id}).scalar_one_or_none() or 0
    desired = desired_version(connection, device_id)
    orders = tuple(order.id for order in waiting(connection, device_id))
    return Waiting(orders, desired if desired > reported else None)


def seen(connection: Connection, device_id: str, now_ms: int, offline_after_s: int) -> str | None:
    """An open connection counts as being heard; written only when half of the time has passed.

    Gives the account when the station was offline until now.
    """
    row = connection.execute(_SEEN, {"station": device_id}).one_or_none()
    last = None if row is None else row.last_seen_ms
    if row is None or (last is not None and now_ms - last < offline_after_s * 500):
        return None
    connection.execute(update(device).where(device.c.id == device_id).values(last_seen_ms=now_ms))
    return None if is_online(last, now_ms, offline_after_s) else str(row.account_id)
