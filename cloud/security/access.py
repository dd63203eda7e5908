"""Who may do what with a station: the roles, their rights, and the one question every handler asks.

Whoever has no role at a station gets the same `not_found` as for one that does not exist. Whoever has a role
that is too small knows the station anyway, and is told.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, select

from cloud.store.schema import account, device, share
from protocol.errors import RELEASED, Refusal, not_found


class Role(StrEnum):
    """What somebody is to a station."""

    OWNER = "owner"
    TECHNICIAN = "technician"
    VIEWER = "viewer"
    ADMINISTRATOR = "administrator"


class Need(StrEnum):
    """What an act asks for."""

    READ = "read"
    COMMAND = "command"
    """Orders and configuration."""
    OWN = "own"
    """Sharing, giving away, deleting: for the owner alone."""


RIGHTS: dict[Need, frozenset[Role]] = {
    Need.READ: frozenset(Role),
    Need.COMMAND: frozenset({Role.OWNER, Role.TECHNICIAN}),
    Need.OWN: frozenset({Role.OWNER}),
}


def reachable(connection: Connection, account_id: str, device_id: str, need: Need) -> tuple[Row[Any], Role]:
    """The station and what this person is to it. Raises `not_found`, and 403 for too small a role.

    A station that was given up may be read by its former owner, and nothing else: 409.
    """
    row = connection.execute(select(device).where(device.c.id == device_id)).first()
    role = role_at(connection, account_id, row) if row is not None else None
    if row is None or role is None:
        raise not_found()
    if row.status == "released" and need is not Need.READ:
        raise Refusal(None, RELEASED, "This station was given up; only its past can be read.", status=409)
    refuse_small_role(role, need)
    return row, role


def refuse_small_role(role: Role | str | None, need: Need) -> None:
    """Raises `Refusal` 403 when a role that may see a station is too small for an act."""
    if role in RIGHTS[need]:
        return
    detail = f"Only the owner may do this, or a technician; you are its {role}."
    if need is Need.OWN:
        detail = f"Only the owner may do this; you are its {role}."
    raise Refusal(None, "role", detail, status=403)


def role_at(connection: Connection, account_id: str, row: Row[Any]) -> Role | None:
    """What a person is to a row of the device table."""
    if row.account_id == account_id:
        return Role.OWNER
    shared = select(share.c.role).where(share.c.device_id == row.id, share.c.account_id == account_id)
    if role := connection.execute(shared).scalar_one_or_none():
        return Role(role)
    query = select(account.c.administrator).where(account.c.id == account_id)
    return Role.ADMINISTRATOR if connection.execute(query).scalar_one_or_none() else None
