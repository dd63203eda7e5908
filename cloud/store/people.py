"""Queries on accounts and sessions, each inside a transaction of its caller. No password is judged here."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from cloud.store.schema import account, session


class AccountRow(msgspec.Struct, frozen=True):
    """One account. `created` in ms since 1970."""

    id: str
    email: str
    name: str
    password_hash: str
    created: int
    administrator: bool = False
    suspended: int | None = None
    language: str | None = None


class SessionRow(msgspec.Struct, frozen=True):
    """One session with the account it belongs to. Times in ms since 1970."""

    token_hash: str
    account_id: str
    csrf: str
    created: int
    last_seen: int
    expires: int
    user_agent: str
    email: str
    name: str
    administrator: bool = False
    language: str | None = None


def insert_account(connection: Connection, row: AccountRow) -> bool:
    """Stores a new account; False when the address is taken."""
    if account_by_email(connection, row.email) is not None:
        return False
    connection.execute(insert(account).values(msgspec.structs.asdict(row)))
    return True


def account_by_email(connection: Connection, email: str) -> AccountRow | None:
    """The account of an address in its normal form."""
    return _account(connection.execute(select(account).where(account.c.email == email)).one_or_none())


def account_by_id(connection: Connection, account_id: str) -> AccountRow | None:
    """One account."""
    return _account(connection.execute(select(account).where(account.c.id == account_id)).one_or_none())


def _account(row: Row[Any] | None) -> AccountRow | None:
    return AccountRow(**row._mapping) if row else None


def count_accounts(connection: Connection) -> int:
    """How many accounts there are."""
    return connection.execute(select(func.count()).select_from(account)).scalar_one()


def replace_hash(connection: Connection, account_id: str, old: str, new: str) -> bool:
    """Replaces a password hash if it is still `old`, so that two changes at once cannot both win."""
    changed = connection.execute(
        update(account)
        .where(account.c.id == account_id, account.c.password_hash == old)
        .values(password_hash=new)
    )
    return changed.rowcount == 1


def rename_account(connection: Connection, account_id: str, name: str) -> None:
    """Gives an account another name to show."""
    connection.execute(update(account).where(account.c.id == account_id).values(name=name))


def set_language(connection: Connection, account_id: str, tag: str) -> None:
    """Remembers the language that a person chose."""
    connection.execute(update(account).where(account.c.id == account_id).values(language=tag))


def insert_session(connection: Connection, row: SessionRow) -> None:
    """Stores a new session."""
    values = msgspec.structs.asdict(row)
    connection.execute(insert(session).values({c.name: values[c.name] for c in session.columns}))


def session_by_hash(connection: Connection, token_hash: str, now: int) -> SessionRow | None:
    """The session of a token's hash, unless it has expired or its account is suspended."""
    row = connection.execute(
        select(session, account.c.email, account.c.name, account.c.administrator, account.c.language)
        .join(account, account.c.id == session.c.account_id)
        .where(session.c.token_hash == token_hash, session.c.expires > now, account.c.suspended.is_(None))
    ).one_or_none()
    return SessionRow(**row._mapping) if row else None


def touch_session(connection: Connection, token_hash: str, now: int, expires: int) -> None:
    """Notes that a session was used and moves its end."""
    connection.execute(
        update(session).where(session.c.token_hash == token_hash).values(last_seen=now, expires=expires)
    )


def delete_session(connection: Connection, token_hash: str) -> None:
    """Ends one session."""
    connection.execute(delete(session).where(session.c.token_hash == token_hash))


def delete_other_sessions(connection: Connection, account_id: str, keep: str | None) -> list[str]:
    """Ends every session of an account but one; the hashes of those that ended."""
    others = session.c.account_id == account_id
    if keep is not None:
        others &= session.c.token_hash != keep
    ended = list(connection.execute(select(session.c.token_hash).where(others)).scalars())
    connection.execute(delete(session).where(others))
    return ended


def delete_expired_sessions(connection: Connection, now: int) -> int:
    """Sweeps sessions that are over; how many."""
    return connection.execute(delete(session).where(session.c.expires <= now)).rowcount
