"""Sharing a station: the owner invites a mail address, the person of that address accepts. No HTTP.

An invitation is bound to the address and not to a secret in a mail, so a forwarded mail opens nothing. The
owner is told the same whether the address has an account or not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from cloud.mail.letters import invited
from cloud.mail.outbox import Outbox
from cloud.realtime.bus import Bus
from cloud.security import audit
from cloud.security.access import Need, Role, reachable
from cloud.security.accounts import normal_email
from cloud.security.limits import Limits
from cloud.security.sessions import Person
from cloud.store.engine import Database
from cloud.store.people import account_by_email
from cloud.store.schema import account, device, invitation, share
from language.languages import Language, Languages
from protocol.codes import ulid
from protocol.errors import INVALID, Refusal, not_found
from protocol.limits import Rate
from protocol.people_messages import InvitationView, Member

INVITATION_LIFE_MS = 14 * 86_400_000
MOST_PEOPLE = 50
INVITATIONS = Rate(20, 3600, 20)
"""Each sends a mail to an address that somebody typed."""


class Sharing:
    """Who else may see a station."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        limits: Limits,
        outbox: Outbox,
        languages: Languages,
        base: str,
        unix_ms: Callable[[], int],
    ) -> None:
        self._db, self._bus, self._limits, self._outbox = database, bus, limits, outbox
        self._languages = languages
        self._base, self._unix_ms = base, unix_ms

    async def load(self) -> None:
        """Tells the bus who listens to whose stations. Once, at the start."""
        rows = await self._db.read(lambda c: c.execute(select(share.c.device_id, share.c.account_id)).all())
        for device_id in {row.device_id for row in rows}:
            people = [row.account_id for row in rows if row.device_id == device_id]
            self._bus.set_audience(device_id, people)

    async def people(self, person: Person, device_id: str) -> list[Member]:
        """The owner, those who share, and invitations that wait. Raises `not_found`, 403."""
        now = self._unix_ms()

        def read(connection: Connection) -> list[Member]:
            row, _ = reachable(connection, person.account_id, device_id, Need.OWN)
            return [*_members(connection, row), *_waiting(connection, device_id, now)]

        return await self._db.read(read)

    async def invite(
        self, person: Person, device_id: str, email: str, role: str, invited_in: Language
    ) -> None:
        """Invites an address, or gives somebody who is in already the other role.

        The mail speaks the language of the address's account; `invited_in` where there is none.

        Raises `Refusal` 404, 403, REG-006 and REG-007 with field `email`.
        """
        address = normal_email(email)
        if address is None or address == person.email:
            detail = "This is not an e-mail address." if address is None else "The station is yours already."
            raise Refusal("REG-007", INVALID, detail, field="$.email")
        await self._db.read(lambda c: reachable(c, person.account_id, device_id, Need.OWN) and None)
        await self._limits.take("invitations", person.account_id, INVITATIONS)
        name = await self._db.write(partial(self._invite, person, device_id, address, role))
        if name is not None:
            guest = await self._db.read(lambda c: account_by_email(c, address))
            language = self._languages.get((guest and guest.language) or "") or invited_in
            self._outbox.post(invited(language, address, person.name, name, role, self._base))

    def _invite(
        self, person: Person, device_id: str, email: str, role: str, connection: Connection
    ) -> str | None:
        """The station's name when a mail is due; None when the role of somebody inside was changed."""
        row, _ = reachable(connection, person.account_id, device_id, Need.OWN)
        now, actor = self._unix_ms(), f"person:{person.account_id}"
        inside = _inside(connection, device_id, email)
        if inside is not None:
            place = (share.c.device_id == device_id) & (share.c.account_id == inside)
            connection.execute(update(share).where(place).values(role=role))
            audit.record(connection, now, actor, "role_changed", device_id, person=inside, role=role)
            return None
        same = (invitation.c.device_id == device_id) & (invitation.c.email == email)
        connection.execute(delete(invitation).where(same))
        _check_room(connection, device_id)
        made = ulid("inv_", now)
        values = {"device_id": device_id, "email": email, "role": role, "created": now}
        connection.execute(insert(invitation).values(id=made, expires=now + INVITATION_LIFE_MS, **values))
        audit.record(connection, now, actor, "invited", device_id, invitation=made, role=role)
        return str(row.name)

    async def remove(self, person: Person, device_id: str, member_id: str) -> None:
        """Takes somebody's access, or an invitation, away. Everybody may remove themselves."""
        need = Need.READ if member_id == person.account_id else Need.OWN

        def change(connection: Connection) -> None:
            reachable(connection, person.account_id, device_id, need)
            gone = _drop(connection, device_id, member_id)
            if not gone:
                raise not_found()
            actor = f"person:{person.account_id}"
            audit.record(connection, self._unix_ms(), actor, "access_ended", device_id, person=member_id)

        await self._db.write(change)
        await self._heard(device_id)

    async def invitations(self, person: Person) -> list[InvitationView]:
        """What waits for this person's address."""
        query = _invitations(self._unix_ms()).where(invitation.c.email == person.email)
        rows = await self._db.read(lambda c: c.execute(query).all())
        return [InvitationView(**row._mapping) for row in rows]

    async def answer(self, person: Person, invitation_id: str, *, accept: bool) -> str:
        """Accepts or declines; the station's id. Raises `not_found` for somebody else's alike."""
        now = self._unix_ms()

        def change(connection: Connection) -> str:
            mine = (invitation.c.id == invitation_id) & (invitation.c.email == person.email)
            row = connection.execute(select(invitation).where(mine, invitation.c.expires > now)).first()
            if row is None:
                raise not_found()
            connection.execute(delete(invitation).where(mine))
            if accept:
                _enter(connection, row, person.account_id, now)
            action = "access_accepted" if accept else "access_declined"
            actor = f"person:{person.account_id}"
            audit.record(connection, now, actor, action, row.device_id, role=row.role)
            return str(row.device_id)

        device_id = await self._db.write(change)
        await self._heard(device_id)
        return device_id

    async def sweep(self) -> None:
        """Forgets invitations that ran out."""
        old = invitation.c.expires <= self._unix_ms()
        await self._db.write(lambda c: c.execute(delete(invitation).where(old)).close())

    async def _heard(self, device_id: str) -> None:
        query = select(share.c.account_id).where(share.c.device_id == device_id)
        people = await self._db.read(lambda c: list(c.execute(query).scalars()))
        self._bus.set_audience(device_id, people)


SHARING = web.AppKey("sharing", Sharing)


def _members(connection: Connection, row: Row[Any]) -> list[Member]:
    owner = connection.execute(select(account).where(account.c.id == row.account_id)).one()
    query = (
        select(account.c.id, account.c.email, account.c.name, share.c.role, share.c.created)
        .join_from(share, account)
        .where(share.c.device_id == row.id)
        .order_by(func.lower(account.c.name), account.c.id)
    )
    first = Member(
        id=owner.id, email=owner.email, name=owner.name, role=Role.OWNER, waiting=False, since_ms=row.created
    )
    return [first] + [
        Member(id=one.id, email=one.email, name=one.name, role=one.role, waiting=False, since_ms=one.created)
        for one in connection.execute(query)
    ]


def _waiting(connection: Connection, device_id: str, now_ms: int) -> list[Member]:
    query = select(invitation).where(invitation.c.device_id == device_id, invitation.c.expires > now_ms)
    return [
        Member(
            id=row.id,
            email=row.email,
            name=None,
            role=row.role,
            waiting=True,
            since_ms=row.created,
            expires_ms=row.expires,
        )
        for row in connection.execute(query.order_by(invitation.c.email))
    ]


def _invitations(now_ms: int) -> Any:
    return (
        select(
            invitation.c.id,
            invitation.c.device_id,
            device.c.name.label("device_name"),
            account.c.name.label("owner"),
            invitation.c.role,
            invitation.c.expires.label("expires_ms"),
        )
        .join_from(invitation, device)
        .join(account, account.c.id == device.c.account_id)
        .where(invitation.c.expires > now_ms, device.c.status != "released")
        .order_by(invitation.c.id)
    )


def _inside(connection: Connection, device_id: str, email: str) -> str | None:
    """The account of an address that has access already."""
    query = (
        select(account.c.id)
        .join_from(share, account)
        .where(share.c.device_id == device_id, account.c.email == email)
    )
    found: str | None = connection.execute(query).scalar_one_or_none()
    return found


def _check_room(connection: Connection, device_id: str) -> None:
    counted = sum(
        connection.execute(
            select(func.count()).select_from(table).where(table.c.device_id == device_id)
        ).scalar_one()
        for table in (share, invitation)
    )
    if counted >= MOST_PEOPLE:
        detail = f"A station is shared with at most {MOST_PEOPLE} people. Remove somebody first."
        raise Refusal("REG-007", "too_many", detail, field="$.email")


def _enter(connection: Connection, row: Row[Any], account_id: str, now_ms: int) -> None:
    owner = connection.execute(select(device.c.account_id).where(device.c.id == row.device_id)).scalar_one()
    _drop(connection, row.device_id, account_id)
    if owner != account_id:  # it may have become theirs in the meantime
        values = {"device_id": row.device_id, "account_id": account_id, "role": row.role}
        connection.execute(insert(share).values(created=now_ms, **values))


def _drop(connection: Connection, device_id: str, member_id: str) -> bool:
    """Removes a share by account, or an invitation by its id; whether there was one."""
    gone = connection.execute(
        delete(share).where(share.c.device_id == device_id, share.c.account_id == member_id)
    ).rowcount
    gone += connection.execute(
        delete(invitation).where(invitation.c.device_id == device_id, invitation.c.id == member_id)
    ).rowcount
    return gone > 0
