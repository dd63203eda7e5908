"""A station says how it is: the last state is kept, in the order of the station's own counters. No HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, func, select, update

from cloud.fleet import boots, commands
from cloud.fleet.commands import acknowledge, waiting
from cloud.fleet.configuration import current
from cloud.fleet.devices import Fleet
from cloud.fleet.models import DeviceSummary
from cloud.fleet.presence import is_online
from cloud.fleet.trust import certificate_alert
from cloud.realtime.bus import Bus
from cloud.security import audit
from cloud.security.device_auth import DevicePrincipal
from cloud.security.limits import Limits
from cloud.settings import Settings
from cloud.store.engine import Database
from cloud.store.fleet import certificate_end, desired_version
from cloud.store.schema import device
from protocol.clock import from_unix
from protocol.limits import DEVICE_HEARTBEATS, Rate
from protocol.messages import CommandAck, ConfigUpdates, HeartbeatAnswer, HeartbeatRequest, NetworkInfo

RETURNING_PER_SECOND = 20
"""So many stations may come back with their backlog in one second after an outage."""
LONGEST_SPREAD_S = 600
_COUNT_EVERY_MS = 60_000
_STATION = select(device).where(device.c.id == bindparam("station"))
_CHANGE = update(device).where(device.c.id == bindparam("station"))
"""Made once: building a statement costs as much as running it, and this is what the cloud does most."""


@dataclass(frozen=True)
class _Heard:
    """What one heartbeat changed."""

    answer: HeartbeatAnswer
    summary: DeviceSummary | None
    """Only where somebody listens."""
    came_back: bool
    acknowledged: Sequence[CommandAck]


class Heartbeats:
    """Receives the heartbeats of all stations."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        limits: Limits,
        fleet: Fleet,
        settings: Settings,
        unix_ms: Callable[[], int],
    ) -> None:
        self._db, self._bus, self._limits, self._fleet = database, bus, limits, fleet
        self._settings, self._unix_ms = settings, unix_ms
        paced = 2 * DEVICE_HEARTBEATS.seconds // settings.heartbeat_interval
        self._stations, self._counted_ms = 0, -_COUNT_EVERY_MS
        self._rate = Rate(
            max(DEVICE_HEARTBEATS.count, paced), DEVICE_HEARTBEATS.seconds, DEVICE_HEARTBEATS.burst
        )

    async def receive(self, principal: DevicePrincipal, message: HeartbeatRequest) -> HeartbeatAnswer:
        """Keeps the state and answers with what the cloud has for the station. Raises `Refusal`."""
        await self._limits.take("heartbeat", principal.device_id, self._rate)
        wanted = self._bus.is_heard(principal.account_id, principal.device_id)
        heard = await self._db.write(partial(self._keep, principal, message, wanted))
        now = from_unix(self._unix_ms() / 1000)
        told = {"deviceId": principal.device_id, "timestamp": now}
        if heard.came_back:
            self._bus.publish(principal.account_id, "device-online", told)
        if heard.summary is not None:
            told |= msgspec.to_builtins(heard.summary)
        self._bus.publish(principal.account_id, "device-status", told)
        for ack in heard.acknowledged:
            of_order = commands.news(principal.device_id, ack.id, ack.state, ack.detail, self._unix_ms())
            self._bus.publish(principal.account_id, commands.NEWS, of_order)
        return heard.answer

    def _keep(
        self, principal: DevicePrincipal, message: HeartbeatRequest, wanted: bool, connection: Connection
    ) -> _Heard:
        now = self._unix_ms()
        before = _row(connection, principal)
        values = {"last_seen_ms": now, "next_expected_ms": now + self._settings.heartbeat_interval * 1000}
        if (principal.boot, message.seq) > (before.boot_counter, before.heartbeat_seq):
            values |= _state(principal, message, before, now)
        if message.config_error and message.config_error != before.config_error:
            # What was altered on its way is refused too, so this may be an attack.
            reason, actor = message.config_error[:200], f"device:{principal.keyid}"
            audit.record(connection, now, actor, "config_refused", principal.device_id, reason=reason)
        connection.execute(_CHANGE, {"station": principal.device_id} | values)
        if message.clock is not None:
            boots.note(connection, principal.device_id, message.boot_id, message.clock.mono_ms, now)
        acks = acknowledge(connection, principal.device_id, message.command_acks, now)
        summary = self._fleet.summaries(connection, [_row(connection, principal)])[0] if wanted else None
        return _Heard(
            answer=self._answer(connection, principal, message, before.name, now),
            summary=summary,
            came_back=not is_online(before.last_seen_ms, now, self._settings.offline_after),
            acknowledged=acks,
        )

    def _answer(
        self,
        connection: Connection,
        principal: DevicePrincipal,
        message: HeartbeatRequest,
        name: str,
        now: int,
    ) -> HeartbeatAnswer:
        updates = None
        if message.config_version < desired_version(connection, principal.device_id):
            desired = current(connection, principal.device_id)
            updates = ConfigUpdates(
                version=desired.version, updates=desired.values, signature=desired.envelope
            )
        refused = [f"The configuration was refused: {message.config_error}"] if message.config_error else []
        ends = certificate_end(connection, principal.device_id)
        if certificate_alert(ends, now) == "ending":
            refused.append("The certificate ends in less than seven days and was not renewed.")
        return HeartbeatAnswer(
            status="warning" if refused else "ok",
            server_time=from_unix(now / 1000),
            next_heartbeat_in=self._settings.heartbeat_interval,
            backlog_spread=self._spread(connection, now),
            device_name=name,
            commands=list(waiting(connection, principal.device_id)),
            config_updates=updates,
            warnings=refused,
        )

    def _spread(self, connection: Connection, now_ms: int) -> float:
        """Seconds over which the fleet comes back; counted anew once a minute."""
        if now_ms - self._counted_ms >= _COUNT_EVERY_MS or now_ms < self._counted_ms:
            self._counted_ms = now_ms
            self._stations = connection.execute(select(func.count()).select_from(device)).scalar_one()
        return float(min(self._stations // RETURNING_PER_SECOND, LONGEST_SPREAD_S))


def _row(connection: Connection, principal: DevicePrincipal) -> Row[Any]:
    return connection.execute(_STATION, {"station": principal.device_id}).one()


def _state(
    principal: DevicePrincipal, message: HeartbeatRequest, before: Row[Any], now_ms: int
) -> dict[str, Any]:
    """What a newer heartbeat replaces."""
    values: dict[str, Any] = {
        "boot_counter": principal.boot,
        "heartbeat_seq": message.seq,
        "state": message.state[:40],
        "reported": msgspec.to_builtins(message),
        "config_version_reported": min(message.config_version, 2**31 - 1),
        "config_error": message.config_error,
    }
    if message.network_info != NetworkInfo():
        values["network"] = msgspec.to_builtins(message.network_info)
    if message.device_info is not None:
        values["info"] = msgspec.to_builtins(message.device_info)
    if message.firmware_version:
        values["info"] = (values.get("info") or before.info or {}) | {
            "firmware_version": message.firmware_version
        }
    if message.state == "operational" and before.first_operational_ms is None:
        values["first_operational_ms"] = now_ms
    return values
