"""Sharing over HTTP: who may see a station, invitations given and received."""

from __future__ import annotations

from aiohttp import web

from cloud.api.bodies import answer, read_json
from cloud.api.routing import Guard, Route
from cloud.security.sessions import Person
from cloud.security.sharing import SHARING
from cloud.speaking import language_of
from protocol.people_messages import (
    InvitationList,
    InvitationReply,
    InviteRequest,
    MemberList,
)

_PLACE = r"/v1/devices/{device_id:dev_[0-9A-Z]{26}}/people"
_INVITATION = r"/v1/invitations/{invitation_id:inv_[0-9A-Z]{26}}"


async def people(request: web.Request, person: Person) -> web.Response:
    """The owner, those who share, and invitations that wait. For the owner only."""
    found = await request.app[SHARING].people(person, request.match_info["device_id"])
    return answer(MemberList(people=found))


async def invite(request: web.Request, person: Person) -> web.Response:
    """Invites a mail address; the answer is the same whether it has an account. For the owner only."""
    wish = await read_json(request, InviteRequest)
    await request.app[SHARING].invite(
        person, request.match_info["device_id"], wish.email, wish.role, language_of(request)
    )
    return web.Response(status=204)


async def remove(request: web.Request, person: Person) -> web.Response:
    """Ends an access or an invitation. For the owner; others may remove themselves."""
    place = request.match_info
    await request.app[SHARING].remove(person, place["device_id"], place["member_id"])
    return web.Response(status=204)


async def invitations(request: web.Request, person: Person) -> web.Response:
    """Invitations to the address of whoever is signed in."""
    return answer(InvitationList(invitations=await request.app[SHARING].invitations(person)))


async def reply(request: web.Request, person: Person) -> web.Response:
    """Accepts or declines."""
    wish = await read_json(request, InvitationReply)
    await request.app[SHARING].answer(person, request.match_info["invitation_id"], accept=wish.accept)
    return web.Response(status=204)


ROUTES = (
    Route("GET", _PLACE, people, Guard.PERSON, "Who may see a station", answers={200: MemberList}),
    Route(
        "POST",
        _PLACE,
        invite,
        Guard.PERSON,
        "Invite somebody as technician or viewer",
        body=InviteRequest,
        answers={204: None},
    ),
    Route(
        "DELETE",
        _PLACE + r"/{member_id:(?:usr|inv)_[0-9A-Z]{26}}",
        remove,
        Guard.PERSON,
        "End somebody's access, one's own, or an invitation",
        answers={204: None},
    ),
    Route(
        "GET",
        "/v1/invitations",
        invitations,
        Guard.PERSON,
        "Invitations that wait for you",
        answers={200: InvitationList},
    ),
    Route(
        "POST",
        _INVITATION,
        reply,
        Guard.PERSON,
        "Accept or decline an invitation",
        body=InvitationReply,
        answers={204: None},
    ),
)
