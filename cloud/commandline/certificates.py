"""`meteor-cloud certificates`: list and revoke on the server. What that means is in `cloud.registry`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import TypeVar, get_args

from sqlalchemy import Connection, select

from cloud.errors import CertificateUnknown
from cloud.registry.crl import build_now
from cloud.registry.revocations import revoke_all, revoke_device, revoke_serial
from cloud.security import audit
from cloud.security.vault import Vault
from cloud.settings import Settings
from cloud.store.engine import Database
from cloud.store.migrate import upgrade
from cloud.store.schema import certificate
from protocol.certificate_messages import Reason
from protocol.clock import from_unix

T = TypeVar("T")

Adder = Callable[..., argparse.ArgumentParser]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser], add: Adder) -> None:
    """Adds the command with its actions; `add` makes one that has the settings' flags."""
    group = commands.add_parser("certificates", help="stations' certificates")
    actions = group.add_subparsers(required=True, metavar="ACTION")
    listing = add(actions, "ls", _list, "list certificates, newest first")
    listing.add_argument("--device", help="only those of this station")
    listing.add_argument("--all", action="store_true", help="also superseded, revoked and ended ones")
    one = add(actions, "revoke", _revoke, "revoke a station, or one certificate with its key")
    one.add_argument("which", metavar="DEVICE|SERIAL", help="a station's id, or a serial number in hex")
    everything = add(actions, "revoke-all", _revoke_all, "revoke all; stations enrol again by their keys")
    everything.add_argument("--yes", action="store_true", help="do it; without this it is only said")
    for each in (one, everything):
        each.add_argument("--reason", choices=get_args(Reason), default="unspecified")


def _list(chosen: argparse.Namespace, settings: Settings) -> int:
    query = select(certificate).order_by(certificate.c.not_before.desc(), certificate.c.serial)
    if chosen.device:
        query = query.where(certificate.c.device_id == chosen.device)
    if not chosen.all:
        query = query.where(certificate.c.status == "active", certificate.c.not_after > _now())
    for row in _in(settings, lambda connection: connection.execute(query).all()):
        until = from_unix(row.not_after / 1000)[:10]
        print(f"{row.serial}  {row.device_id}  until {until}  {row.status} {row.reason or ''}".rstrip())
    return 0


def _revoke(chosen: argparse.Namespace, settings: Settings) -> int:
    now, which = _now(), chosen.which.lower() if len(chosen.which) == 32 else chosen.which

    def change(connection: Connection) -> str | None:
        if which.startswith("dev_"):
            known = select(certificate.c.serial).where(certificate.c.device_id == which).limit(1)
            if connection.execute(known).first() is None:
                return None
            revoke_device(connection, which, chosen.reason, now)
            device_id: str | None = which
        else:
            device_id = revoke_serial(connection, which, chosen.reason, now)
        if device_id is not None:
            audit.record(
                connection, now, "system", "device_revoked", device_id, what=which, reason=chosen.reason
            )
        return device_id

    device_id = _in(settings, change)
    if device_id is None:
        raise CertificateUnknown(f"There is no certificate of {chosen.which}.")
    _publish(settings, now)
    print(f"Revoked {which}. Its next request is refused.")
    return 0


def _revoke_all(chosen: argparse.Namespace, settings: Settings) -> int:
    if not chosen.yes:
        print("This refuses every station until it has a new certificate. Say --yes to do it.")
        return 0
    now = _now()

    def change(connection: Connection) -> int:
        ended = revoke_all(connection, chosen.reason, now)
        audit.record(connection, now, "system", "all_revoked", "all", count=ended, reason=chosen.reason)
        return ended

    ended = _in(settings, change)
    _publish(settings, now)
    print(f"Revoked {ended} certificates. Stations enrol again by their keys, 28 a second at most.")
    return 0


def _publish(settings: Settings, now_ms: int) -> None:
    authority = Vault(settings.secrets).load().authority
    database = Database(settings.database)
    try:
        build_now(database, authority, settings.crl, now_ms)
    finally:
        database.close()


def _in(settings: Settings, work: Callable[[Connection], T]) -> T:
    database = Database(settings.database)
    try:
        upgrade(database)
        return database.write_now(work)
    finally:
        database.close()


def _now() -> int:
    return time.time_ns() // 1_000_000
