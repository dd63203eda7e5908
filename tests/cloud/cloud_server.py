"""A cloud for tests: the real application on a real socket in this process, on a clock that tests move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any
from unittest.mock import patch

import aiohttp
import jinja2
import msgspec
from aiohttp import web
from sqlalchemy import select

from cloud import keys
from cloud.app import create_app
from cloud.realtime.bus import Bus
from cloud.security.accounts import Accounts
from cloud.security.limits import Limits
from cloud.security.passwords import Passwords
from cloud.security.sessions import SESSIONS
from cloud.security.vault import Secrets
from cloud.server import listen, told_address
from cloud.settings import Settings, load
from cloud.store import schema
from cloud.store.engine import Database
from cloud.store.migrate import upgrade
from cloud.store.people import AccountRow
from cloud.tls import server_context
from protocol.messages import InitiateAnswer
from tests.cloud.people_parts import CHEAP, PASSWORD, Clock
from tests.cloud.station_client import Reply, Station


@dataclass
class Person:
    """A signed-in person, without a browser."""

    account_id: str
    base: str
    session: aiohttp.ClientSession
    headers: Mapping[str, str]

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """One request as the pages make it. A body is encoded as JSON unless it is bytes."""
        data = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        given = {**self.headers, **headers}
        if data is not None:
            given.setdefault("Content-Type", "application/json")
        async with self.session.request(method, self.base + path, data=data, headers=given) as response:
            return Reply(response.status, response.headers, await response.read())

    async def initiate(self, **wish: Any) -> Reply:
        return await self.send("POST", "/v1/devices/register/initiate", wish)

    async def named(self, **wish: Any) -> str:
        """`initiate`, expected to be answered; the claim's id."""
        reply = await self.initiate(**wish)
        assert reply.status == 200, reply
        return reply.read(InitiateAnswer).claim_id

    async def claim_status(self, claim_id: str) -> dict[str, Any]:
        reply = await self.send("GET", f"/v1/devices/claim-status/{claim_id}")
        assert reply.status == 200, reply
        return reply.read(dict[str, Any])

    async def token(self, **wish: Any) -> dict[str, Any]:
        reply = await self.send("POST", "/v1/devices/claim-token", wish)
        assert reply.status == 201, reply
        return reply.read(dict[str, Any])


@dataclass
class Cloud:
    """A running cloud."""

    app: web.Application
    settings: Settings
    database: Database
    session: aiohttp.ClientSession
    clock: Clock
    people: int = 0

    @property
    def base(self) -> str:
        return self.settings.base

    @property
    def bus(self) -> Bus:
        return self.app[keys.BUS]

    def station(self) -> Station:
        return Station(self.session, self.base, lambda: self.clock.now_ms / 1000)

    async def person(self, email: str | None = None) -> Person:
        """A new account with an open session."""
        self.people += 1
        address = email or f"person{self.people}@example.org"
        accounts = Accounts(self.database, Passwords(CHEAP), Limits(), self.clock)
        return await self._signed_in(await accounts.create(address, PASSWORD))

    async def again(self, person: Person) -> Person:
        """A new session of the same account: the old one does not last for months."""
        accounts = Accounts(self.database, Passwords(CHEAP), Limits(), self.clock)
        return await self._signed_in(await accounts.get(person.account_id))

    def stored(self) -> bytes:
        """Every value of every row, and every file of the data folder: no place for a secret. Blocking."""
        with self.database.engine.connect() as connection:
            rows = [
                b"|".join(value if isinstance(value, bytes) else str(value).encode() for value in row)
                for table in schema.metadata.sorted_tables
                for row in connection.execute(select(table))
            ]
        files = [path.read_bytes() for path in self.settings.data_dir.rglob("*") if path.is_file()]
        return b"\n".join(rows + files)

    async def _signed_in(self, account: AccountRow) -> Person:
        token = await self.app[SESSIONS].open(account, "tests")
        found = await self.app[SESSIONS].find(token)
        assert found is not None
        headers = {"Cookie": f"session={token}", "X-CSRF-Token": found.csrf, "Origin": self.base}
        return Person(account.id, self.base, self.session, headers)

    async def claimed(self, owner: Person) -> Station:
        """A station of this person, by token."""
        station = self.station()
        token = (await owner.token())["claim_token"]
        reply = await station.claim_with_token(token)
        assert reply.status == 201, reply
        station.take(reply)
        return station


_compiled: dict[tuple[object, ...], CodeType] = {}
_compile = jinja2.Environment.compile


def _compile_once(env: jinja2.Environment, source: Any, *named: Any, **options: Any) -> Any:
    """To compile the pages' templates takes a quarter of a second, and every cloud has the same."""
    key = (source, named, *sorted(options.items()))
    if key not in _compiled:
        _compiled[key] = _compile(env, source, *named, **options)
    return _compiled[key]


@asynccontextmanager
async def running_cloud(
    folder: Path, secrets: Secrets, clock: Clock, database_url: str | None = None, **changes: Any
) -> AsyncIterator[Cloud]:
    """A cloud on any free port, with its data in `folder`."""
    flags = {"data_dir": folder, "port": 0, "database_url": database_url, "min_free_bytes": 0, **changes}
    settings = load(None, {}, flags)
    folder.mkdir(parents=True, exist_ok=True)
    listener = listen(settings)
    settings = told_address(settings, listener)
    database = Database(settings.database)
    await asyncio.to_thread(upgrade, database)
    with patch.object(jinja2.Environment, "compile", _compile_once):
        app = create_app(settings, database, secrets, clock)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1, auto_decompress=False)
    await runner.setup()
    tls = server_context(settings, secrets.authority)
    await web.SockSite(runner, listener, ssl_context=tls).start()
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            yield Cloud(app, settings, database, session, clock)
    finally:
        await runner.cleanup()
        database.close()
