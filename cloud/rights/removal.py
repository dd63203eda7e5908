"""The end of a station or an account: rows, files and what the database keeps of deleted pages.

The rows go in one transaction, which also notes whose files must go; a power cut in between is made good by
the upkeep. What stays is the security log, which names nobody: ids, actions, network addresses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from aiohttp import web
from sqlalchemy import Connection, delete, insert, select

from cloud.fleet.files import MediaFiles
from cloud.realtime.bus import Bus
from cloud.registry import crl
from cloud.rights.tables import of_accounts, of_stations
from cloud.security import audit
from cloud.security.access import Need, reachable
from cloud.security.accounts import Accounts
from cloud.security.sessions import SESSION_ENDED, Person
from cloud.store.engine import Database
from cloud.store.schema import account, claim, device, device_key, limit_bucket, removal, replay

_AGAIN_MS = 600_000
"""An upload that was under way may write once more; its folder is removed again until so long after."""


class Removal:
    """Deletes for good."""

    def __init__(
        self,
        database: Database,
        files: MediaFiles,
        bus: Bus,
        accounts: Accounts,
        unix_ms: Callable[[], int],
    ) -> None:
        self._db, self._files, self._bus, self._accounts = database, files, bus, accounts
        self._unix_ms = unix_ms

    async def station(self, person: Person, device_id: str) -> None:
        """Deletes a station of the person with everything of it. Raises `not_found`, and 403 to others."""

        def change(connection: Connection) -> None:
            reachable(connection, person.account_id, device_id, Need.OWN)
            self._drop_station(connection, person.account_id, device_id)

        await self._db.write(change)
        self._bus.set_audience(device_id, [])
        await self.finish()

    async def account(self, person: Person, password: str, address: str) -> None:
        """Deletes the account, its stations and all that belongs to them.

        Raises `Refusal` with field `current` for a wrong password, REG-006 for too many tries.
        """
        await self._accounts.confirm(person.account_id, password, address)
        await self._db.write(partial(self._drop_account, person.account_id))
        self._bus.publish(person.account_id, SESSION_ENDED, {})
        await self.finish()

    def _drop_account(self, account_id: str, connection: Connection) -> None:
        own = select(device.c.id).where(device.c.account_id == account_id)
        for device_id in connection.execute(own).scalars().all():
            self._drop_station(connection, account_id, device_id)
        for table, column in of_accounts():
            connection.execute(delete(table).where(column == account_id))
        connection.execute(delete(limit_bucket).where(limit_bucket.c.key == account_id))
        connection.execute(delete(account).where(account.c.id == account_id))
        audit.record(connection, self._unix_ms(), f"person:{account_id}", "account_deleted", account_id)

    def _drop_station(self, connection: Connection, account_id: str, device_id: str) -> None:
        now = self._unix_ms()
        mine = select(device_key.c.keyid).where(device_key.c.device_id == device_id)
        keys = connection.execute(mine).scalars().all()
        connection.execute(delete(replay).where(replay.c.keyid.in_(keys)))
        connection.execute(delete(limit_bucket).where(limit_bucket.c.key.in_([device_id, *keys])))
        connection.execute(delete(claim).where(claim.c.keyid.in_(keys)))
        crl.outlive(connection, device_id, now)
        for table, column in of_stations():
            connection.execute(delete(table).where(column == device_id))
        connection.execute(delete(device).where(device.c.id == device_id))
        connection.execute(insert(removal).values(device_id=device_id, since=now))
        audit.record(connection, now, f"person:{account_id}", "station_deleted", device_id)

    async def finish(self) -> None:
        """Removes the files of deleted stations, also of those that a power cut left over; upkeep."""
        since = await self._db.read(
            lambda c: {row.device_id: row.since for row in c.execute(select(removal))}
        )
        if not since:
            return
        for device_id in since:
            await asyncio.to_thread(self._files.remove_all, device_id)
        old = [one for one, at in since.items() if self._unix_ms() - at >= _AGAIN_MS]
        await self._db.write(lambda c: c.execute(delete(removal).where(removal.c.device_id.in_(old))).close())
        await asyncio.to_thread(self._db.forget_deleted)


REMOVAL = web.AppKey("removal", Removal)
