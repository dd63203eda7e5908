"""Messages between persons and the cloud about persons: sharing, tokens, administration. No behaviour."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from protocol.messages import Answer, Name, Request

SharedRole = Literal["technician", "viewer"]
Email = Annotated[str, Meta(min_length=3, max_length=254)]


class InviteRequest(Request):
    """POST /devices/:id/people: whom to let in, by mail address, and as what."""

    email: Email
    role: SharedRole


class Member(Answer, kw_only=True):
    """Somebody who may see a station. `id` is a person's, or that of an invitation that still waits."""

    id: str
    email: str
    name: str | None
    role: str
    waiting: bool
    since_ms: int
    expires_ms: int | None = None


class MemberList(Answer):
    """GET /devices/:id/people: the owner first, then people, then invitations."""

    people: list[Member]


class InvitationView(Answer):
    """An invitation as the invited person sees it."""

    id: str
    device_id: str
    device_name: str
    owner: str
    role: str
    expires_ms: int


class InvitationList(Answer):
    """GET /invitations: what waits for the person who is signed in."""

    invitations: list[InvitationView]


class InvitationReply(Request):
    """POST /invitations/:id."""

    accept: bool


class TokenRequest(Request):
    """POST /tokens: a name to know it by, what it may do, and after how many days it ends (None: never)."""

    name: Name
    scopes: list[Literal["read", "command", "claim"]]
    days: Annotated[int, Meta(ge=1, le=3650)] | None = 365


class TokenView(Answer):
    """An API token without its secret. Times in ms since 1970."""

    id: str
    name: str
    scopes: list[str]
    created_ms: int
    expires_ms: int | None
    last_used_ms: int | None
    last_address: str | None


class TokenMade(Answer):
    """The one time that a token is shown."""

    token: str
    details: TokenView


class TokenList(Answer):
    """GET /tokens: newest first."""

    tokens: list[TokenView]


class StationView(Answer):
    """A station as an administrator finds it."""

    id: str
    name: str
    short_id: str
    owner_id: str
    owner: str
    status: str
    state: str | None
    last_seen_ms: int | None
    created_ms: int


class StationList(Answer):
    """GET /administration/devices."""

    devices: list[StationView]


class AccountView(Answer):
    """An account as an administrator finds it."""

    id: str
    email: str
    name: str
    administrator: bool
    suspended_ms: int | None
    stations: int
    created_ms: int


class AccountList(Answer):
    """GET /administration/accounts."""

    accounts: list[AccountView]


class SuspendRequest(Request):
    """POST /administration/…/:id: suspend, or resume."""

    suspended: bool


class DeleteAccount(Request):
    """POST /account/delete: the password once more."""

    password: Annotated[str, Meta(max_length=256)]
