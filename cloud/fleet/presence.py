"""Whether a station is online: computed from when it was last heard, never stored; and who fell silent."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, select

from cloud.realtime.bus import Bus
from cloud.store.engine import Database
from cloud.store.schema import device
from protocol.clock import from_unix

_TONES = {
    "operational": "running",
    "reconnecting": "working",
    "updating": "working",
    "activating": "working",
    "claiming": "working",
    "connecting": "working",
    "initializing": "working",
    "error": "failed",
    "halted": "failed",
}


def is_online(last_seen_ms: int | None, now_ms: int, offline_after_s: int) -> bool:
    """Heard within the last `offline_after_s` seconds, by the server's clock."""
    return last_seen_ms is not None and now_ms - last_seen_ms < offline_after_s * 1000


def tone(state: str | None, online: bool) -> str:
    """How a state looks: running, working, waiting, failed; unknown for a station that is silent."""
    if state is None or not online:
        return "unknown"
    return _TONES.get(state, "waiting")


class Presence:
    """Remembers who was online at the last look, and publishes `device-offline` for who is no longer."""

    def __init__(self, database: Database, bus: Bus, offline_after: int, unix_ms: Callable[[], int]) -> None:
        self._db, self._bus, self._offline_after, self._unix_ms = database, bus, offline_after, unix_ms
        self._online: dict[str, str] = {}

    async def look(self) -> None:
        """One comparison with the store."""
        now = self._unix_ms()
        heard = await self._db.read(lambda c: _heard_since(c, now - self._offline_after * 1000))
        for device_id, account_id in self._online.items():
            if device_id not in heard:
                told = {"deviceId": device_id, "timestamp": from_unix(now / 1000)}
                self._bus.publish(account_id, "device-offline", told)
        self._online = heard


def _heard_since(connection: Connection, since_ms: int) -> dict[str, str]:
    query = select(device.c.id, device.c.account_id).where(
        device.c.last_seen_ms > since_ms, device.c.status == "active"
    )
    return {device_id: account_id for device_id, account_id in connection.execute(query)}
