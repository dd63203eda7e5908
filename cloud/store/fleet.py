"""Queries for lists and pages of stations and events. Every one is bound to an account or a device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, bindparam, func, or_, select

from cloud.store.schema import boot, certificate, claim, config, device, event, event_media, media, share

LIFECYCLE = "station_"
"""Events whose type begins so are notes of the station about itself, not observations."""

_NEWEST_CONFIG = select(func.max(config.c.version)).where(config.c.device_id == bindparam("station"))
_CERTIFICATE_END = select(func.max(certificate.c.not_after)).where(
    certificate.c.device_id == bindparam("station"), certificate.c.status == "active"
)


def key_storage(connection: Connection, device_id: str) -> Any:
    """Where the station's key is, by its last claim that succeeded: `file`, `tpm2` or `se`."""
    won = (claim.c.device_id == device_id) & (claim.c.status == "success")
    last = select(claim.c.hardware).where(won).order_by(claim.c.completed.desc()).limit(1)
    return (connection.execute(last).scalar_one_or_none() or {}).get("key_storage")


def devices_of(connection: Connection, account_id: str) -> Sequence[Row[Any]]:
    """All stations that a person owns or shares and that are not released."""
    shared = select(share.c.device_id).where(share.c.account_id == account_id)
    mine = or_(device.c.account_id == account_id, device.c.id.in_(shared))
    query = select(device).where(mine, device.c.status != "released")
    return connection.execute(query.order_by(func.lower(device.c.name), device.c.id)).all()


def former_devices_of(connection: Connection, account_id: str) -> Sequence[Row[Any]]:
    """The stations that a person released: their history stays."""
    query = select(device).where(device.c.account_id == account_id, device.c.status == "released")
    return connection.execute(query.order_by(device.c.released_ms.desc(), device.c.id)).all()


def device_of(connection: Connection, account_id: str, device_id: str) -> Row[Any] | None:
    """One station, if it is or was this person's; what was released may be read, and nothing else."""
    query = select(device).where(device.c.id == device_id, device.c.account_id == account_id)
    return connection.execute(query).first()


def last_observations(connection: Connection, device_ids: Sequence[str]) -> dict[str, Row[Any]]:
    """The newest observation of each station."""
    newest = (
        select(func.max(event.c.pk))
        .where(event.c.device_id.in_(device_ids), ~event.c.event_type.startswith(LIFECYCLE, autoescape=True))
        .group_by(event.c.device_id)
    )
    rows = connection.execute(_events().where(event.c.pk.in_(newest))).all()
    return {row.device_id: row for row in rows}


def events_of(
    connection: Connection, device_id: str, before: int | None, limit: int, lifecycle: bool | None
) -> Sequence[Row[Any]]:
    """Newest first. `lifecycle` picks the station's notes (True), the observations (False) or both (None)."""
    query = _events().where(event.c.device_id == device_id).order_by(event.c.pk.desc()).limit(limit)
    if before is not None:
        query = query.where(event.c.pk < before)
    if lifecycle is not None:
        noted = event.c.event_type.startswith(LIFECYCLE, autoescape=True)
        query = query.where(noted if lifecycle else ~noted)
    return connection.execute(query).all()


def event_of(connection: Connection, device_id: str, event_id: str) -> Row[Any] | None:
    """One event with its body."""
    query = (
        select(event, boot.c.began_ms)
        .outerjoin(boot, _same_boot())
        .where(event.c.device_id == device_id, event.c.event_id == event_id)
    )
    return connection.execute(query).first()


def media_of(
    connection: Connection, device_ids: Iterable[str], event_pks: Iterable[int]
) -> dict[int, list[Row[Any]]]:
    """The files of each event, with `stored`."""
    there = and_(media.c.sha256 == event_media.c.sha256, media.c.device_id == event.c.device_id)
    query = (
        select(event_media, media.c.sha256.is_not(None).label("stored"))
        .join_from(event_media, event)
        .outerjoin(media, there)
        .where(event_media.c.event_pk.in_(list(event_pks)), event.c.device_id.in_(list(device_ids)))
        .order_by(event_media.c.event_pk, event_media.c.name, event_media.c.sha256)
    )
    found: dict[int, list[Row[Any]]] = {}
    for row in connection.execute(query):
        found.setdefault(row.event_pk, []).append(row)
    return found


def stored_media(connection: Connection, device_id: str, sha256: str) -> Any:
    """A file that is there, with the name and type that the newest event gave it."""
    query = (
        select(event_media.c.mime, event_media.c.name, media.c.size)
        .join_from(event_media, event)
        .join(media, and_(media.c.sha256 == event_media.c.sha256, media.c.device_id == event.c.device_id))
        .where(event.c.device_id == device_id, event_media.c.sha256 == sha256)
        .order_by(event_media.c.event_pk.desc())
        .limit(1)
    )
    return connection.execute(query).first()


def desired_version(connection: Connection, device_id: str) -> int:
    """The newest configuration's number."""
    return int(connection.execute(_NEWEST_CONFIG, {"station": device_id}).scalar_one() or 0)


def certificate_end(connection: Connection, device_id: str) -> int | None:
    """When the certificate in force ends, in ms."""
    end: int | None = connection.execute(_CERTIFICATE_END, {"station": device_id}).scalar_one()
    return end


def same_event(
    connection: Connection, device_id: str, event_id: str, client_event_id: str, revision: int
) -> Row[Any] | None:
    """An event with one of these two identities; the first is preferred."""
    same_client = and_(event.c.client_event_id == client_event_id, event.c.revision == revision)
    query = (
        select(event)
        .where(event.c.device_id == device_id, or_(event.c.event_id == event_id, same_client))
        .order_by((event.c.event_id == event_id).desc())
        .limit(1)
    )
    return connection.execute(query).first()


def _events() -> Select[Any]:
    """Events without their bodies, which may be large; `began_ms` is when the boot of an unsure one began."""
    shown = (column for column in event.c if column.name != "body")
    return select(*shown, boot.c.began_ms).outerjoin(boot, _same_boot())


def _same_boot() -> ColumnElement[bool]:
    return and_(boot.c.device_id == event.c.device_id, boot.c.boot_id == event.c.boot_id)
