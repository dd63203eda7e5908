"""Accounts: made, signed in to, renamed, given another password. Sessions and pages live elsewhere.

Invariants: an unknown address costs and looks the same as a wrong password; attempts are charged to the
network address that makes them, never to the account they aim at; a hash with old parameters is renewed at
the next sign-in.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import TypeVar

from aiohttp import web
from sqlalchemy import Connection

from cloud.errors import AccountRefused
from cloud.security import audit
from cloud.security.limits import Limits
from cloud.security.passwords import Passwords, Verdict, weakness
from cloud.store import people
from cloud.store.engine import Database
from cloud.store.people import AccountRow
from protocol.codes import ulid
from protocol.errors import INVALID, WRONG_CODE, Refusal
from protocol.limits import SIGN_IN_ATTEMPTS

T = TypeVar("T")

LONGEST_NAME = 80
_NAME_RULE = f"A name has 1 to {LONGEST_NAME} letters, digits or signs."
_HASHES_AT_ONCE = 2
"""Each takes the memory of `Cost`, so a wave of sign-ins must queue and not take the host down."""

# Whether an address exists is proved by mail only; this refuses what cannot be one.
_EMAIL = re.compile(r"[^\s@<>\"\x00-\x1f]{1,64}@[^\s@<>\"\x00-\x1f.]+(\.[^\s@<>\"\x00-\x1f.]+)*")


class Accounts:
    """Everything that is done with accounts. What people are told is `Refusal`."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        limits: Limits,
        unix_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._unix_ms = unix_ms
        self._limits = limits
        self._slots = asyncio.Semaphore(_HASHES_AT_ONCE)

    async def create(self, email: str, password: str, name: str = "") -> AccountRow:
        """Makes an account. Raises `AccountRefused` for a bad address, a weak password or a taken address."""
        address = normal_email(email)
        if address is None:
            raise AccountRefused("This is not an e-mail address.")
        shown = shown_name(name or address.partition("@")[0])
        if shown is None:
            raise AccountRefused(_NAME_RULE)
        if reason := weakness(password, address, shown):
            raise AccountRefused(reason)
        now = self._unix_ms()
        hashed = await self._in_thread(lambda: self._passwords.hash(password))
        row = AccountRow(ulid("usr_", now), address, shown, hashed, now)
        if not await self._database.write(lambda connection: self._insert(connection, row)):
            raise AccountRefused("There is an account with this address already.")
        return row

    def _insert(self, connection: Connection, row: AccountRow) -> bool:
        inserted = people.insert_account(connection, row)
        if inserted:
            audit.record(connection, row.created, "system", "account_created", row.id)
        return inserted

    async def sign_in(self, email: str, password: str, address: str) -> AccountRow:
        """The account that email and password open.

        `address` is the caller's network address, which pays for the attempt. Raises `Refusal` REG-006 with
        `retry_after` when there were too many, and REG-004 for anything wrong, without saying what.
        """
        await self._limits.take("sign-in", address, SIGN_IN_ATTEMPTS)
        known = await self._find(email)
        verdict = await self._check(known, password)
        await self._database.write(lambda connection: self._note(connection, known, verdict, address))
        if known is None or not verdict.right:
            raise Refusal("REG-004", WRONG_CODE, "E-mail address and password do not belong together.")
        if known.suspended is not None:  # said to nobody but who has the password
            detail = "This account is suspended. Ask whoever runs this cloud."
            raise Refusal(None, "account_suspended", detail, status=403)
        return known

    async def _check(self, known: AccountRow | None, password: str) -> Verdict:
        stored = known.password_hash if known else None
        return await self._in_thread(lambda: self._passwords.check(stored, password))

    def _note(self, connection: Connection, known: AccountRow | None, verdict: Verdict, address: str) -> None:
        if known is not None and verdict.renewed:
            people.replace_hash(connection, known.id, known.password_hash, verdict.renewed)
        actor = f"person:{known.id}" if known and verdict.right else "anonymous"
        action = "signed_in" if verdict.right else "sign_in_failed"
        if known is not None and known.suspended is not None and verdict.right:
            action = "suspended_sign_in"
        # An unknown address is not kept: people type passwords into the wrong field.
        audit.record(connection, self._unix_ms(), actor, action, known.id if known else "-", address=address)

    async def confirm(self, account_id: str, current: str, address: str) -> AccountRow:
        """The account of who proves the password once more. Raises `Refusal` with field `current`."""
        await self._limits.take("sign-in", address, SIGN_IN_ATTEMPTS)
        row = await self.get(account_id)
        if not (await self._check(row, current)).right:
            raise Refusal(None, WRONG_CODE, "This is not your current password.", field="current")
        return row

    async def change_password(self, account_id: str, current: str, new: str, address: str) -> None:
        """Replaces the password. Raises `Refusal` with field `current` or `new`."""
        row = await self.confirm(account_id, current, address)
        if reason := weakness(new, row.email, row.name):
            raise Refusal(None, INVALID, reason, field="new")
        hashed = await self._in_thread(lambda: self._passwords.hash(new))
        if not await self._database.write(lambda connection: self._replace(connection, row, hashed)):
            raise Refusal(None, INVALID, "The password was changed somewhere else just now.", field="current")

    def _replace(self, connection: Connection, row: AccountRow, hashed: str) -> bool:
        replaced = people.replace_hash(connection, row.id, row.password_hash, hashed)
        if replaced:
            audit.record(connection, self._unix_ms(), f"person:{row.id}", "password_changed", row.id)
        return replaced

    async def rename(self, account_id: str, name: str) -> str:
        """Gives the account another name to show. Raises `Refusal` with field `name`."""
        shown = shown_name(name)
        if shown is None:
            raise Refusal(None, INVALID, _NAME_RULE, field="name")
        await self._database.write(lambda connection: people.rename_account(connection, account_id, shown))
        return shown

    async def speak(self, account_id: str, tag: str) -> None:
        """Remembers the language that the person chose, for pages and mails."""
        await self._database.write(lambda connection: people.set_language(connection, account_id, tag))

    async def get(self, account_id: str) -> AccountRow:
        """One account. Raises `KeyError` when it is gone."""
        row = await self._database.read(lambda connection: people.account_by_id(connection, account_id))
        if row is None:
            raise KeyError(account_id)
        return row

    async def any_exist(self) -> bool:
        """Whether somebody could sign in at all."""
        return await self._database.read(people.count_accounts) > 0

    async def _find(self, email: str) -> AccountRow | None:
        address = normal_email(email) or ""
        return await self._database.read(lambda connection: people.account_by_email(connection, address))

    async def hashed(self, password: str) -> str:
        """The hash to store for a password that was judged already."""
        return await self._in_thread(lambda: self._passwords.hash(password))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        async with self._slots:
            return await asyncio.to_thread(work)


ACCOUNTS = web.AppKey("accounts", Accounts)


def shown_name(text: str) -> str | None:
    """A name with single spaces, or None when it is empty, too long or has signs that cannot be shown."""
    name = " ".join(text.split())
    return name if 1 <= len(name) <= LONGEST_NAME and name.isprintable() else None


def normal_email(text: str) -> str | None:
    """The form in which an address is stored and compared, or None when it cannot be one."""
    address = text.strip().lower()
    return address if len(address) <= 254 and _EMAIL.fullmatch(address) else None
