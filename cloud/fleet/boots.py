"""When a station's boots began, by the cloud's own clock, and what that says of events from them. No HTTP.

A station without a clock stamps events with a wrong time and with the time since its boot. Each heartbeat
says how long the boot has lasted, so the cloud knows when it began, whatever the station's clock says. The
delay of the network makes that later, never earlier: the earliest answer counts.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from cloud.store.schema import boot, event
from protocol.event import Event

KEPT = 200
"""So many boots of a station are kept without an event, for events that are still on their way."""

_BEGAN = select(boot.c.began_ms).where(
    boot.c.device_id == bindparam("station"), boot.c.boot_id == bindparam("boot")
)


def note(connection: Connection, device_id: str, boot_id: str, mono_ms: int, now_ms: int) -> None:
    """A heartbeat of a boot that has lasted `mono_ms` so far."""
    began = now_ms - mono_ms
    if not boot_id or began < 0:
        return
    known = connection.execute(_BEGAN, {"station": device_id, "boot": boot_id}).scalar_one_or_none()
    if known is None:
        _make_room(connection, device_id)
        connection.execute(insert(boot).values(device_id=device_id, boot_id=boot_id, began_ms=began))
    elif began < known:
        mine = (boot.c.device_id == device_id) & (boot.c.boot_id == boot_id)
        connection.execute(update(boot).where(mine).values(began_ms=began))


def _make_room(connection: Connection, device_id: str) -> None:
    """Forgets old boots before a new one comes; those of an event stay, because its time hangs on them."""
    mine = boot.c.device_id == device_id
    newest = select(boot.c.boot_id).where(mine).order_by(boot.c.began_ms.desc(), boot.c.boot_id)
    needed = select(event.c.boot_id).where(event.c.device_id == device_id, event.c.boot_id.is_not(None))
    old = boot.c.boot_id.not_in(newest.limit(KEPT - 1)) & boot.c.boot_id.not_in(needed)
    connection.execute(delete(boot).where(mine, old))


def since_boot(new: Event) -> dict[str, Any]:
    """What is kept of an event whose clock nobody vouched for; nothing for the others, whose time counts."""
    if new.clock is None or new.clock.synced or new.boot_id is None or new.mono_ns is None:
        return {}
    return {"boot_id": new.boot_id, "mono_ms": min(new.mono_ns // 1_000_000, 2**53)}
