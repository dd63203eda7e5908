"""A lost password: a link by mail, good once and for half an hour. How mail leaves is in `cloud.mail`.

Whoever asks is told the same, after the same work, whether there is an account or not. The store has the
hash of the link's secret; a used link, a newer password and the end of the account make every link void.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from aiohttp import web
from sqlalchemy import Connection, delete, func, insert, select

from cloud.mail.letters import password_link
from cloud.mail.outbox import Outbox
from cloud.realtime.bus import Bus
from cloud.security import audit
from cloud.security.accounts import Accounts, normal_email
from cloud.security.limits import Limits
from cloud.security.passwords import weakness
from cloud.security.sessions import SESSION_ENDED
from cloud.store import people
from cloud.store.engine import Database
from cloud.store.people import AccountRow
from cloud.store.schema import password_reset
from language.languages import Language, Languages
from protocol.codes import secret_hash
from protocol.errors import INVALID, Refusal
from protocol.limits import Rate

LIFE_MS = 30 * 60_000
MOST_OPEN = 3
"""Links of one account at a time: nobody's mailbox is filled by somebody else."""
ASKING = Rate(10, 3600, 10)
USING = Rate(20, 3600, 20)


class Resets:
    """Links for people who lost their password."""

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        outbox: Outbox,
        languages: Languages,
        bus: Bus,
        limits: Limits,
        base: str,
        unix_ms: Callable[[], int],
    ) -> None:
        self._db, self._accounts, self._outbox, self._bus = database, accounts, outbox, bus
        self._languages = languages
        self._limits, self._base, self._unix_ms = limits, base, unix_ms

    async def ask(self, email: str, address: str, asked_in: Language) -> None:
        """Mails a link if there is such an account; says nothing either way. Raises `Refusal` REG-006.

        The mail speaks the language of the account; `asked_in` where it has none.
        """
        await self._limits.take("reset", address, ASKING)
        token, wanted = secrets.token_urlsafe(32), normal_email(email) or ""
        known = await self._db.write(lambda c: self._open(c, wanted, secret_hash(token)))
        if known is not None:
            language = self._languages.get(known.language or "") or asked_in
            self._outbox.post(password_link(language, known.email, f"{self._base}/reset?token={token}"))

    def _open(self, connection: Connection, email: str, token_hash: str) -> AccountRow | None:
        now = self._unix_ms()
        known = people.account_by_email(connection, email)
        if known is not None and known.suspended is not None:
            known = None
        audit.record(connection, now, "anonymous", "reset_asked", known.id if known else "-")
        if known is None or _open_links(connection, known.id, now) >= MOST_OPEN:
            return None
        values = {"token_hash": token_hash, "account_id": known.id, "created": now, "expires": now + LIFE_MS}
        connection.execute(insert(password_reset).values(**values))
        return known

    async def holds(self, token: str) -> bool:
        """Whether a link would still open something."""
        return await self._find(token) is not None

    async def use(self, token: str, new: str, address: str) -> None:
        """Gives the account another password and ends all its sessions.

        Raises `Refusal` 410 for a link that is unknown, used or too old, and with field `new` for a weak
        password, which uses nothing up.
        """
        await self._limits.take("reset-use", address, USING)
        known = await self._find(token)
        if known is None:
            raise _over()
        if reason := weakness(new, known.email, known.name):
            raise Refusal(None, INVALID, reason, field="new")
        hashed = await self._accounts.hashed(new)
        if not await self._db.write(lambda c: self._replace(c, known, token, hashed)):
            raise _over()
        self._bus.publish(known.id, SESSION_ENDED, {})

    def _replace(self, connection: Connection, known: AccountRow, token: str, hashed: str) -> bool:
        used = connection.execute(
            delete(password_reset).where(password_reset.c.token_hash == secret_hash(token))
        )
        if used.rowcount != 1 or not people.replace_hash(connection, known.id, known.password_hash, hashed):
            return False
        connection.execute(delete(password_reset).where(password_reset.c.account_id == known.id))
        people.delete_other_sessions(connection, known.id, None)
        audit.record(connection, self._unix_ms(), f"person:{known.id}", "password_reset", known.id)
        return True

    async def _find(self, token: str) -> AccountRow | None:
        hashed, now = secret_hash(token), self._unix_ms()
        live = (password_reset.c.token_hash == hashed) & (password_reset.c.expires > now)

        def read(connection: Connection) -> AccountRow | None:
            found = connection.execute(select(password_reset.c.account_id).where(live)).scalar_one_or_none()
            row = people.account_by_id(connection, found) if found else None
            return row if row is not None and row.suspended is None else None

        return await self._db.read(read)

    async def sweep(self) -> None:
        """Forgets links that are too old."""
        old = password_reset.c.expires <= self._unix_ms()
        await self._db.write(lambda c: c.execute(delete(password_reset).where(old)).close())


RESETS = web.AppKey("resets", Resets)


def _open_links(connection: Connection, account_id: str, now_ms: int) -> int:
    live = (password_reset.c.account_id == account_id) & (password_reset.c.expires > now_ms)
    return connection.execute(select(func.count()).select_from(password_reset).where(live)).scalar_one()


def _over() -> Refusal:
    return Refusal(None, "link_over", "This link was used or is too old. Ask for a new one.", status=410)
