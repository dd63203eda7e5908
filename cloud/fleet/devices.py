"""What a person sees of stations, and may change: lists, one station, its events and files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, update

from cloud.fleet.configuration import Configurations
from cloud.fleet.files import MediaFiles
from cloud.fleet.liveness import liveness
from cloud.fleet.models import DeviceDetail, DeviceSummary, EventDetail, EventList, EventSummary, MediaItem
from cloud.fleet.presence import is_online, tone
from cloud.fleet.trust import certificate_alert
from cloud.realtime.bus import Bus
from cloud.security.access import Need, reachable, role_at
from cloud.store import fleet as queries
from cloud.store.engine import Database
from cloud.store.schema import device
from cloud.validation import clean_name
from protocol.errors import INVALID, Refusal, not_found
from protocol.messages import DeviceInfo, HeartbeatRequest, Location, NetworkInfo

MOST_EVENTS = 200


class Fleet:
    """Stations as persons see them. Those they have no part in get the same `not_found` as unknown ones."""

    def __init__(
        self,
        database: Database,
        files: MediaFiles,
        configurations: Configurations,
        bus: Bus,
        offline_after: int,
        unix_ms: Callable[[], int],
    ) -> None:
        self._db, self._files, self._configurations, self._bus = database, files, configurations, bus
        self._offline_after, self._unix_ms = offline_after, unix_ms

    async def list(self, account_id: str) -> Sequence[DeviceSummary]:
        """All stations of their own and all that others share with them, by name."""
        return await self._db.read(partial(self._list, account_id))

    async def former(self, account_id: str) -> Sequence[DeviceSummary]:
        """The stations that the person released, the last one first."""
        return await self._db.read(lambda c: self.summaries(c, queries.former_devices_of(c, account_id)))

    def _list(self, account_id: str, connection: Connection) -> Sequence[DeviceSummary]:
        rows = queries.devices_of(connection, account_id)
        return [
            msgspec.structs.replace(told, role=role_at(connection, account_id, row))
            for row, told in zip(rows, self.summaries(connection, rows), strict=True)
        ]

    def summaries(self, connection: Connection, rows: Iterable[Row[Any]]) -> Sequence[DeviceSummary]:
        """For rows of the device table, inside a transaction."""
        known = tuple(rows)
        last = queries.last_observations(connection, [row.id for row in known])
        events = _with_media(connection, last.values())
        by_device = {row.device_id: events[row.pk] for row in last.values()}
        now = self._unix_ms()
        return [DeviceSummary(**self._summary(row, by_device.get(row.id), now)) for row in known]

    def _summary(self, row: Row[Any], last: EventSummary | None, now_ms: int) -> dict[str, Any]:
        online = is_online(row.last_seen_ms, now_ms, self._offline_after)
        backlog = [
            entry for entry in ((row.reported or {}).get("buffer") or {}).values() if _is_backlog(entry)
        ]
        return {
            "id": row.id,
            "name": row.name,
            "short_id": row.short_id,
            "status": row.status,
            "state": row.state,
            "tone": tone(row.state, online),
            "online": online,
            "last_seen_ms": row.last_seen_ms,
            "first_operational_ms": row.first_operational_ms,
            "liveness": liveness(_read(row.reported, HeartbeatRequest), online=online),
            "backlog_count": sum(entry.get("count", 0) for entry in backlog),
            "backlog_bytes": sum(entry.get("bytes", 0) for entry in backlog),
            "last_event": last,
        }

    async def get(self, account_id: str, device_id: str) -> DeviceDetail:
        """One station. Raises `not_found`."""
        return await self._db.read(partial(self._get, account_id, device_id))

    def _get(self, account_id: str, device_id: str, connection: Connection) -> DeviceDetail:
        row, role = reachable(connection, account_id, device_id, Need.READ)
        last = queries.last_observations(connection, [device_id])
        events = _with_media(connection, last.values())
        ends = queries.certificate_end(connection, device_id)
        return DeviceDetail(
            **self._summary(row, next(iter(events.values()), None), self._unix_ms()),
            role=role,
            created_ms=row.created,
            hardware_id=row.hardware_id,
            location=_read(row.location, Location),
            info=_read(row.info, DeviceInfo),
            network=_read(row.network, NetworkInfo),
            reported=_read(row.reported, HeartbeatRequest),
            reported_ms=row.last_seen_ms,
            config_version_desired=queries.desired_version(connection, device_id),
            config_version_reported=row.config_version_reported,
            config_error=row.config_error,
            clone_ms=row.clone_ms,
            key_storage=queries.key_storage(connection, device_id),
            certificate_not_after_ms=ends,
            certificate_alert=certificate_alert(ends, self._unix_ms()),
        )

    async def rename(self, account_id: str, device_id: str, name: str) -> None:
        """Gives a station another name; the station learns it too. Raises `not_found`, REG-007."""
        await self.change(account_id, device_id, name=name)

    async def change(
        self, account_id: str, device_id: str, *, name: str | None = None, location: Location | None = None
    ) -> None:
        """Changes name or place. The station is told by a new version of its configuration."""
        values: dict[str, Any] = {}
        if name is not None:
            values["name"] = clean_name(name)
        if location is not None:
            values["location"] = msgspec.to_builtins(location)
        if not values:
            raise Refusal("REG-007", INVALID, "Give a name or a location.", field="$")
        owner, version = await self._db.write(partial(self._change, account_id, device_id, values))
        self._bus.publish(owner, "config-updated", {"deviceId": device_id, "version": version})
        self._bus.wake_station(device_id)

    def _change(
        self, account_id: str, device_id: str, values: dict[str, Any], connection: Connection
    ) -> tuple[str, int]:
        row, _ = reachable(connection, account_id, device_id, Need.COMMAND)
        connection.execute(update(device).where(device.c.id == device_id).values(**values))
        made = self._configurations.patch(
            connection, device_id, row.epoch, {"device": values}, f"person:{account_id}", self._unix_ms()
        )
        return row.account_id, made.version

    async def events(
        self,
        account_id: str,
        device_id: str,
        before: int | None = None,
        limit: int = 50,
        lifecycle: bool | None = None,
    ) -> Sequence[EventSummary]:
        """Newest first. `before` is the cursor of the last one seen; `lifecycle` as in `store.fleet`."""
        page = await self.event_page(account_id, device_id, before, limit, lifecycle)
        return page.events

    async def event_page(
        self,
        account_id: str,
        device_id: str,
        before: int | None = None,
        limit: int = 50,
        lifecycle: bool | None = None,
    ) -> EventList:
        """`events` with the cursor of the next page. Raises `not_found`."""
        most = min(max(limit, 1), MOST_EVENTS)

        def read(connection: Connection) -> EventList:
            reachable(connection, account_id, device_id, Need.READ)
            rows = queries.events_of(connection, device_id, before, most + 1, lifecycle)
            shown = list(_with_media(connection, rows[:most]).values())
            return EventList(events=shown, next_before=shown[-1].cursor if len(rows) > most else None)

        return await self._db.read(read)

    async def event(self, account_id: str, device_id: str, event_id: str) -> EventDetail:
        """One event with its body. Raises `not_found`."""

        def read(connection: Connection) -> EventDetail:
            reachable(connection, account_id, device_id, Need.READ)
            row = queries.event_of(connection, device_id, event_id)
            if row is None:
                raise not_found()
            summary = _with_media(connection, [row])[row.pk]
            return EventDetail(**msgspec.structs.asdict(summary), body=msgspec.json.decode(row.body))

        return await self._db.read(read)

    async def media(self, account_id: str, device_id: str, sha256: str) -> tuple[Path, str, str]:
        """(path, mime, name) of a stored file. Raises `not_found`."""

        def read(connection: Connection) -> Any:
            reachable(connection, account_id, device_id, Need.READ)
            found = queries.stored_media(connection, device_id, sha256)
            if found is None:
                raise not_found()
            return found

        row = await self._db.read(read)
        return self._files.final(device_id, sha256), row.mime, row.name


def _with_media(connection: Connection, rows: Iterable[Row[Any]]) -> dict[int, EventSummary]:
    """Summaries by primary key, in the order of the rows."""
    known = list(rows)
    files = queries.media_of(connection, {row.device_id for row in known}, [row.pk for row in known])
    return {
        row.pk: EventSummary(
            cursor=row.pk,
            event_id=row.event_id,
            client_event_id=row.client_event_id,
            revision=row.revision,
            received_ms=row.received_ms,
            timestamp=row.timestamp,
            event_type=row.event_type,
            confidence=row.confidence,
            status=row.status,
            restated_ms=None if row.began_ms is None else row.began_ms + row.mono_ms,
            media=[
                MediaItem(
                    sha256=file.sha256,
                    size=file.size,
                    mime=file.mime,
                    name=file.name,
                    role=file.role,
                    stored=bool(file.stored),
                )
                for file in files.get(row.pk, [])
            ],
        )
        for row in known
    }


def _read(value: Any, kind: type[Any]) -> Any:
    return None if value is None else msgspec.convert(value, kind)


def _is_backlog(entry: Any) -> bool:
    return isinstance(entry, dict) and "count" in entry
