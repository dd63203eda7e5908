"""What administrators do: see every station and account, suspend and resume them. Each act is in the log.

Nobody becomes one from the network: `meteor-cloud administrator` makes them. They read stations as a viewer
does and command none. What is suspended keeps its data: a station's answer is 403 and it goes on recording,
an account opens nothing and its stations go on delivering.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from aiohttp import web
from sqlalchemy import ColumnElement, Connection, func, or_, select, update

from cloud.errors import AccountRefused
from cloud.realtime.bus import Bus
from cloud.security import audit
from cloud.security.accounts import normal_email
from cloud.security.sessions import SESSION_ENDED, Person
from cloud.store import people
from cloud.store.engine import Database
from cloud.store.schema import account, device
from protocol.errors import INVALID, Refusal, not_found
from protocol.people_messages import AccountView, StationView

MOST = 200


class Administration:
    """Everything is refused by the guards to who is no administrator."""

    def __init__(self, database: Database, bus: Bus, unix_ms: Callable[[], int]) -> None:
        self._db, self._bus, self._unix_ms = database, bus, unix_ms

    async def stations(self, search: str = "") -> list[StationView]:
        """Stations by name, `MOST` at a time; `search` is a part of name, short id, id or owner's address."""
        query = (
            select(device, account.c.email)
            .join_from(device, account, account.c.id == device.c.account_id)
            .where(_contains(search, device.c.name, device.c.short_id, device.c.id, account.c.email))
            .order_by(func.lower(device.c.name), device.c.id)
            .limit(MOST)
        )
        rows = await self._db.read(lambda c: c.execute(query).all())
        return [
            StationView(
                id=row.id,
                name=row.name,
                short_id=row.short_id,
                owner_id=row.account_id,
                owner=row.email,
                status=row.status,
                state=row.state,
                last_seen_ms=row.last_seen_ms,
                created_ms=row.created,
            )
            for row in rows
        ]

    async def accounts(self, search: str = "") -> list[AccountView]:
        """Accounts by address, `MOST` at a time."""
        owned = (
            select(func.count())
            .select_from(device)
            .where(device.c.account_id == account.c.id, device.c.status != "released")
            .scalar_subquery()
        )
        query = (
            select(account, owned.label("stations"))
            .where(_contains(search, account.c.email, account.c.name, account.c.id))
            .order_by(account.c.email)
            .limit(MOST)
        )
        rows = await self._db.read(lambda c: c.execute(query).all())
        return [
            AccountView(
                id=row.id,
                email=row.email,
                name=row.name,
                administrator=row.administrator,
                suspended_ms=row.suspended,
                stations=row.stations,
                created_ms=row.created,
            )
            for row in rows
        ]

    async def suspend_station(self, person: Person, device_id: str, *, suspended: bool) -> None:
        """From the next request on the station is refused, or heard again. Raises `not_found`."""
        await self._db.write(partial(self._station, person, device_id, suspended))

    def _station(self, person: Person, device_id: str, suspended: bool, connection: Connection) -> None:
        known = (device.c.id == device_id) & device.c.status.in_(("active", "suspended"))
        status, action = ("suspended", "station_suspended") if suspended else ("active", "station_resumed")
        changed = connection.execute(update(device).where(known).values(status=status))
        if changed.rowcount != 1:
            raise not_found()
        audit.record(connection, self._unix_ms(), f"person:{person.account_id}", action, device_id)

    async def suspend_account(self, person: Person, account_id: str, *, suspended: bool) -> None:
        """Ends or reopens every way into an account. Raises `not_found`; not for one's own account."""
        if account_id == person.account_id:
            raise Refusal("REG-007", INVALID, "You cannot suspend yourself.", field="$.suspended")
        await self._db.write(partial(self._account, person, account_id, suspended))
        self._bus.publish(account_id, SESSION_ENDED, {})

    def _account(self, person: Person, account_id: str, suspended: bool, connection: Connection) -> None:
        now = self._unix_ms()
        change = update(account).where(account.c.id == account_id)
        if connection.execute(change.values(suspended=now if suspended else None)).rowcount != 1:
            raise not_found()
        if suspended:
            people.delete_other_sessions(connection, account_id, None)
        action = "account_suspended" if suspended else "account_resumed"
        audit.record(connection, now, f"person:{person.account_id}", action, account_id)


ADMINISTRATION = web.AppKey("administration", Administration)


def appoint(connection: Connection, email: str, *, administrator: bool, now_ms: int) -> None:
    """Makes somebody an administrator or takes it back. Raises `AccountRefused` for an unknown address."""
    row = people.account_by_email(connection, normal_email(email) or "")
    if row is None:
        raise AccountRefused("There is no account with this address.")
    connection.execute(update(account).where(account.c.id == row.id).values(administrator=administrator))
    action = "administrator_made" if administrator else "administrator_ended"
    audit.record(connection, now_ms, "system", action, row.id)


def _contains(search: str, *columns: ColumnElement[str]) -> ColumnElement[bool]:
    text = search.strip().lower()
    return or_(*(func.lower(column).contains(text, autoescape=True) for column in columns))
