"""The bodies of the queue of registrations and of the older ways to register. Claims are in `messages`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from protocol.messages import Answer, Location, Name, Request, Text


class QueuedRegistration(Answer):
    """One message of the queue. `code` is REG-010 for a dead one; times in ms since 1970."""

    id: str
    type: str
    claim_id: str
    state: Literal["queued", "leased", "done", "dead"]
    attempts: int
    code: str | None
    error: str | None
    created_ms: int
    updated_ms: int


class RegistrationList(Answer):
    """GET /devices/registrations: the caller's own, newest first."""

    registrations: list[QueuedRegistration]
    server_time: str


class LegacyRegisterRequest(Request):
    """POST /api/v1/devices/register, as the first edge client sends it."""

    hardwareId: Annotated[str, Meta(min_length=1, max_length=80)]


class LegacyDevice(Answer):
    """The device of that answer."""

    id: str
    userProfileId: str
    hardwareId: str
    status: str
    registeredAt: str


class LegacyRegisterAnswer(Answer):
    """200."""

    message: str
    device: LegacyDevice


class RegistrationToken(Answer):
    """POST /devices/registration-token: a JWT for the first edge client, good for 15 minutes."""

    token: str
    expires_in: int
    server_time: str


class NamedRegisterRequest(Request):
    """POST /devices/register: name and place; a place in words becomes part of the name."""

    name: Name
    location: Location | Text | None = None
