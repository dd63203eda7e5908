"""Sharing a station: invitations, what each role may do, and that an access that ended opens nothing."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from cloud.mail.outbox import OUTBOX
from cloud.security.accounts import ACCOUNTS
from cloud.security.sessions import SESSIONS
from cloud.security.sharing import INVITATION_LIFE_MS, SHARING
from cloud.store import schema
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.people_client import Browsing
from tests.cloud.station_client import Reply, Station


async def invite(owner: Person, station: Station, email: str, role: str = "viewer") -> Reply:
    return await owner.send("POST", f"{station.place}/people", {"email": email, "role": role})


async def waiting(person: Person) -> list[dict[str, Any]]:
    reply = await person.send("GET", "/v1/invitations")
    found: list[dict[str, Any]] = reply.read(dict[str, Any])["invitations"]
    return found


async def let_in(owner: Person, station: Station, guest: Person, email: str, role: str) -> None:
    assert (await invite(owner, station, email, role)).status == 204
    (one,) = await waiting(guest)
    assert (await guest.send("POST", f"/v1/invitations/{one['id']}", {"accept": True})).status == 204


async def roles(owner: Person, station: Station) -> dict[str, str]:
    reply = await owner.send("GET", f"{station.place}/people")
    return {one["email"]: one["role"] for one in reply.read(dict[str, Any])["people"] if not one["waiting"]}


async def test_an_invited_person_sees_the_station_after_accepting_and_not_before(cloud: Cloud) -> None:
    ada, bob = await cloud.person("ada@example.org"), await cloud.person("bob@example.org")
    station = await cloud.claimed(ada)
    assert (await invite(ada, station, " Bob@Example.ORG ")).status == 204
    assert (await bob.send("GET", station.place)).status == 404
    (one,) = await waiting(bob)
    assert (one["owner"], one["role"]) == ("ada", "viewer")
    await bob.send("POST", f"/v1/invitations/{one['id']}", {"accept": True})
    told = (await bob.send("GET", station.place)).read(dict[str, Any])
    assert told["role"] == "viewer"
    listed = (await bob.send("GET", "/v1/devices")).read(dict[str, Any])["devices"]
    assert [(each["id"], each["role"]) for each in listed] == [(station.device_id, "viewer")]
    assert await roles(ada, station) == {"ada@example.org": "owner", "bob@example.org": "viewer"}


async def test_the_owner_is_told_the_same_whether_the_address_has_an_account(cloud: Cloud) -> None:
    ada, _ = await cloud.person(), await cloud.person("bob@example.org")
    station = await cloud.claimed(ada)
    known, unknown = (
        await invite(ada, station, "bob@example.org"),
        await invite(ada, station, "no@example.org"),
    )
    assert (known.status, known.body) == (unknown.status, unknown.body) == (204, b"")
    reply = await ada.send("GET", f"{station.place}/people")
    people = [one for one in reply.read(dict[str, Any])["people"] if one["waiting"]]
    assert [(one["email"], one["name"]) for one in people] == [
        ("bob@example.org", None),
        ("no@example.org", None),
    ]


async def test_an_invitation_opens_nothing_for_another_address(cloud: Cloud) -> None:
    ada, eve = await cloud.person(), await cloud.person("eve@example.org")
    bob = await cloud.person("bob@example.org")
    station = await cloud.claimed(ada)
    await invite(ada, station, "bob@example.org")
    (one,) = await waiting(bob)
    assert await waiting(eve) == []
    assert (await eve.send("POST", f"/v1/invitations/{one['id']}", {"accept": True})).status == 404


async def test_an_invitation_ends_after_two_weeks_and_is_swept(cloud: Cloud) -> None:
    ada, bob = await cloud.person(), await cloud.person("bob@example.org")
    station = await cloud.claimed(ada)
    await invite(ada, station, "bob@example.org")
    (one,) = await waiting(bob)
    cloud.clock.move(INVITATION_LIFE_MS / 1000 - 60)
    bob_later = await waiting(await _again(cloud, bob))
    assert bob_later == [one]
    cloud.clock.move(61)
    later = await _again(cloud, bob)
    assert await waiting(later) == []
    assert (await later.send("POST", f"/v1/invitations/{one['id']}", {"accept": True})).status == 404
    await cloud.app[SHARING].sweep()
    rows = await cloud.database.read(lambda c: c.execute(select(schema.invitation)).all())
    assert rows == []


async def _again(cloud: Cloud, person: Person) -> Person:
    """The same person with a fresh session: the old one ended meanwhile."""
    row = await cloud.app[ACCOUNTS].get(person.account_id)
    token = await cloud.app[SESSIONS].open(row, "tests")
    found = await cloud.app[SESSIONS].find(token)
    assert found is not None
    headers = {"Cookie": f"session={token}", "X-CSRF-Token": found.csrf, "Origin": cloud.base}
    return Person(person.account_id, cloud.base, cloud.session, headers)


async def test_declining_leaves_nothing(cloud: Cloud) -> None:
    ada, bob = await cloud.person(), await cloud.person("bob@example.org")
    station = await cloud.claimed(ada)
    await invite(ada, station, "bob@example.org")
    (one,) = await waiting(bob)
    assert (await bob.send("POST", f"/v1/invitations/{one['id']}", {"accept": False})).status == 204
    assert await waiting(bob) == []
    assert (await bob.send("GET", station.place)).status == 404


async def test_the_role_of_somebody_inside_changes_at_once_and_without_a_mail(cloud: Cloud) -> None:
    ada, bob = await cloud.person(), await cloud.person("bob@example.org")
    station = await cloud.claimed(ada)
    await let_in(ada, station, bob, "bob@example.org", "viewer")
    order = {"type": "restart"}
    refused = await bob.send("POST", f"{station.place}/commands", order)
    assert (refused.status, refused.reason) == (403, "role")
    await invite(ada, station, "bob@example.org", "technician")
    assert (await bob.send("POST", f"{station.place}/commands", order)).status == 201
    assert await waiting(bob) == []


async def test_what_a_technician_does_stands_in_the_owners_log_with_who_it_was(cloud: Cloud) -> None:
    ada, bob = await cloud.person(), await cloud.person("bob@example.org")
    station = await cloud.claimed(ada)
    await let_in(ada, station, bob, "bob@example.org", "technician")
    await bob.send("POST", f"{station.place}/commands", {"type": "restart"})
    rows = (await ada.send("GET", "/v1/audit")).read(dict[str, Any])["entries"]
    told = [(row["action"], row["actor"] == f"person:{bob.account_id}") for row in rows[:3]]
    assert told == [("command_queued", True), ("access_accepted", True), ("invited", False)]
    assert "bob@example.org" not in str(rows), "the log outlives the account"


@pytest.mark.parametrize("by_owner", [True, False])
async def test_an_access_that_ended_opens_nothing_from_the_next_request_on(
    cloud: Cloud, by_owner: bool
) -> None:
    ada, bob = await cloud.person(), await cloud.person("bob@example.org")
    station = await cloud.claimed(ada)
    await let_in(ada, station, bob, "bob@example.org", "technician")
    who = ada if by_owner else bob
    assert (await who.send("DELETE", f"{station.place}/people/{bob.account_id}")).status == 204
    for method, path, body in (
        ("GET", "", None),
        ("GET", "/events", None),
        ("PATCH", "", {"name": "Mine now"}),
        ("POST", "/commands", {"type": "restart"}),
    ):
        assert (await bob.send(method, station.place + path, body)).status == 404


async def test_a_technician_can_remove_nobody_else(cloud: Cloud) -> None:
    ada, bob = await cloud.person(), await cloud.person("bob@example.org")
    eve = await cloud.person("eve@example.org")
    station = await cloud.claimed(ada)
    await let_in(ada, station, bob, "bob@example.org", "technician")
    await let_in(ada, station, eve, "eve@example.org", "viewer")
    assert (await bob.send("DELETE", f"{station.place}/people/{eve.account_id}")).status == 403
    assert (await bob.send("DELETE", f"{station.place}/people/{ada.account_id}")).status == 403
    assert (await ada.send("DELETE", f"{station.place}/people/{ada.account_id}")).status == 404, "an owner"


@pytest.mark.parametrize(
    ("email", "words"),
    [("me@example.org", "yours already"), ("not an address", "e-mail address"), ("a\nb@x.org", "e-mail")],
)
async def test_an_address_that_cannot_be_invited_is_named(cloud: Cloud, email: str, words: str) -> None:
    me = await cloud.person("me@example.org")
    reply = await invite(me, await cloud.claimed(me), email)
    assert (reply.status, reply.problem.field) == (422, "$.email")
    assert words in reply.problem.detail


async def test_mails_to_strangers_are_limited_per_inviter(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    statuses = [(await invite(ada, station, f"x{number}@example.org")).status for number in range(21)]
    assert statuses == [204] * 20 + [429]


async def test_those_who_share_hear_the_news_of_the_station_and_no_longer_than_they_share(
    cloud: Cloud,
) -> None:
    ada, bob = await cloud.person(), await cloud.person("bob@example.org")
    station = await cloud.claimed(ada)
    await let_in(ada, station, bob, "bob@example.org", "viewer")
    with cloud.bus.subscribe(bob.account_id) as news:
        await station.beaten()
        assert (await anext(news)).event in ("device-online", "device-status")
        await anext(news)
        await ada.send("DELETE", f"{station.place}/people/{bob.account_id}")
        await station.beaten()
        assert not news._waiting
    await let_in(ada, station, bob, "bob@example.org", "viewer")
    cloud.bus.set_audience(station.device_id, [])
    await cloud.app[SHARING].load()
    with cloud.bus.subscribe(bob.account_id) as news:
        await station.beaten()
        assert (await anext(news)).data["deviceId"] == station.device_id, "after a restart too"


async def test_inviting_and_accepting_by_pages(cloud: Cloud) -> None:
    ada, bob = await cloud.person("ada@example.org"), await cloud.person("bob@example.org")
    station = await cloud.claimed(ada)
    mine = Browsing(cloud.session, cloud.base, ada.headers)
    page = await mine.post(
        f"/stations/{station.device_id}/people", email="bob@example.org", role="technician"
    )
    assert "Invited." in page.text
    assert "tell the person yourself" in page.text, "this cloud has no mail server"
    theirs = Browsing(cloud.session, cloud.base, bob.headers)
    door = await theirs.get("/")
    assert "ada lets you in at" in door.text
    (one,) = await waiting(bob)
    inside = await theirs.post(f"/invitations/{one['id']}", answer="accept")
    assert inside.address == f"/stations/{station.device_id}"
    assert "Technician" in inside.text
    assert "Rename" in inside.text
    assert "Technician" in (await theirs.get("/")).text
    gone = await mine.post(f"/stations/{station.device_id}/people/remove", person=bob.account_id)
    assert "bob" not in gone.text
    assert (await theirs.get(f"/stations/{station.device_id}")).status == 404


async def test_a_viewers_page_offers_nothing_that_is_refused(cloud: Cloud) -> None:
    ada, bob = await cloud.person(), await cloud.person("bob@example.org")
    station = await cloud.claimed(ada)
    await let_in(ada, station, bob, "bob@example.org", "viewer")
    page = await Browsing(cloud.session, cloud.base, bob.headers).get(f"/stations/{station.device_id}")
    assert "Rename" not in page.text
    assert f'href="/stations/{station.device_id}/people"' not in page.html
    left = await Browsing(cloud.session, cloud.base, bob.headers).post(
        f"/stations/{station.device_id}/people/remove", person=bob.account_id
    )
    assert left.address == "/"


async def test_a_bad_address_is_said_on_the_page_and_what_was_typed_stays(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    pages = Browsing(cloud.session, cloud.base, ada.headers)
    page = await pages.post(f"/stations/{station.device_id}/people", email="nobody", role="technician")
    assert page.status == 400
    assert "This is not an e-mail address." in page.text
    assert 'value="nobody"' in page.html
    assert not cloud.app[OUTBOX].works
