"""Messages between persons and the cloud about persons: sharing, tokens, administration. No behaviour."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from protocol.messages import Answer, Request

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
