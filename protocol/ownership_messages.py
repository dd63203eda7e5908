"""The bodies of giving a station up, handing it over, and replacing its storage. Claims are in `messages`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from protocol.messages import Answer, Identifier, Name, Request


class Released(Answer):
    """POST /devices/:id/release: the station belongs to nobody; `epoch` is the one that ended it."""

    device_id: str
    status: Literal["released"]
    epoch: int
    server_time: str


class TransferOffer(Answer):
    """POST /devices/:id/transfer: the link is shown once; only its hash is stored."""

    transfer_id: str
    device_id: str
    accept_url: str
    transfer_token: str
    expires_at: str
    server_time: str


class TransferAccept(Request):
    """POST /devices/transfers/accept."""

    transfer_token: Annotated[str, Meta(max_length=100)]
    name: Name | None = None


class TransferAccepted(Answer):
    """The station comes to its new owner by itself; `claim_id` is where to watch."""

    transfer_id: str
    claim_id: str
    device_name: str
    server_time: str


class TransferWithdrawn(Answer):
    """DELETE /devices/:id/transfer: how many open links ended."""

    device_id: str
    withdrawn: int
    server_time: str


class ReplaceRequest(Request):
    """POST /devices/:id/replacements/:claim_id: may this new key take the station's place?

    A yes needs the `pin` that the station shows on its claim card now, unless a code was used already.
    """

    accept: bool
    pin: Annotated[str, Meta(max_length=20)] | None = None


class Replacement(Answer):
    """A new key on a station's hardware that asks to take its place. `score` is from 0 to 1.

    `proved` says that a code of its card was used already; `still_talking` that the present key is in use,
    so that this may be a copy and not a new card.
    """

    claim_id: Identifier
    device_id: str
    device_name: str
    short_id: str
    score: float
    proved: bool
    still_talking: bool
    expires_at: str
    state: Literal["asked", "yes", "no"]


class ReplacementList(Answer):
    """GET /devices/:id/replacements."""

    replacements: list[Replacement]
    server_time: str
