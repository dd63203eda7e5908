"""API tokens: shown once, hashed, scoped, ending, revocable, with their last use."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import select, update

from cloud.api.openapi import plain_path
from cloud.api.routing import Guard
from cloud.api.table import ROUTES
from cloud.security.scopes import Scope
from cloud.store import schema
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.matrix import world
from tests.cloud.matrix_table import INTERFACE, Row
from tests.cloud.people_client import Browsing
from tests.cloud.station_client import Reply


async def made(person: Person, *scopes: str, days: int | None = 365) -> str:
    reply = await person.send("POST", "/v1/tokens", {"name": "mine", "scopes": list(scopes), "days": days})
    assert reply.status == 201, reply
    token: str = reply.read(dict[str, Any])["token"]
    return token


def program(cloud: Cloud, token: str) -> Person:
    """Somebody who has nothing but a token."""
    return Person("", cloud.base, cloud.session, {"Authorization": f"Bearer {token}"})


async def listed(person: Person) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await person.send("GET", "/v1/tokens")).read(dict[str, Any])["tokens"]
    return found


async def test_a_token_works_for_its_person_without_cookie_and_csrf(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    tool = program(cloud, await made(ada, "read", "command"))
    devices = (await tool.send("GET", "/v1/devices")).read(dict[str, Any])["devices"]
    assert [device["id"] for device in devices] == [station.device_id]
    assert (await tool.send("POST", f"{station.place}/commands", {"type": "restart"})).status == 201


@pytest.mark.parametrize("scope", list(Scope))
async def test_every_route_asks_for_its_scope_and_those_without_for_a_session(
    cloud: Cloud, scope: Scope
) -> None:
    there = await world(cloud)
    tool = program(cloud, await made(there.people["owner"], scope))
    reached = 0
    for route in ROUTES:
        key = (route.method, plain_path(route.path))
        row: Row = INTERFACE[key]
        if route.guard not in (Guard.PERSON, Guard.PERSON_OR_KEY):
            continue
        body = None
        if row.body is not None:
            body = {
                name: text.format(**there.names) if isinstance(text, str) else text
                for name, text in row.body.items()
            }
        reply = await tool.send(route.method, key[1].format(**there.names), body)
        if route.scope is scope:
            assert reply.status == row.expected("owner"), (key, reply)
            reached += 1
        else:
            assert (reply.status, reply.reason) == (403, "scope"), (key, reply)
    assert reached >= 2


def test_what_touches_accounts_sharing_and_tokens_has_no_scope() -> None:
    private = ("/v1/tokens", "/v1/invitations", "/people", "/v1/account")
    for route in ROUTES:
        if any(part in route.path for part in private):
            assert route.scope is None, route.path


@pytest.mark.parametrize("token", ["", "x", "mpt_", "mpt_" + "A" * 43])
async def test_a_guessed_token_opens_nothing(cloud: Cloud, token: str) -> None:
    reply = await program(cloud, token).send("GET", "/v1/devices")
    assert (reply.status, reply.reason) == (401, "token")


async def test_a_wrong_token_is_not_helped_by_a_session(cloud: Cloud) -> None:
    ada = await cloud.person()
    assert (await ada.send("GET", "/v1/devices", Authorization="Bearer mpt_x")).status == 401


async def test_many_wrong_tokens_from_one_address_are_refused_and_good_ones_go_on(cloud: Cloud) -> None:
    tool, wrong = program(cloud, await made(await cloud.person(), "read")), program(cloud, "mpt_x")
    statuses = [(await wrong.send("GET", "/v1/devices")).status for _ in range(61)]
    assert statuses == [401] * 60 + [429]
    assert (await tool.send("GET", "/v1/devices")).status == 200


async def test_the_store_has_only_the_hash_and_no_list_shows_the_token_again(cloud: Cloud) -> None:
    ada = await cloud.person()
    token = await made(ada, "read")
    rows = await cloud.database.read(lambda c: c.execute(select(schema.api_token)).all())
    assert token not in str(rows)
    assert token not in str(await listed(ada))


async def test_a_revoked_token_opens_nothing_from_the_next_request_on(cloud: Cloud) -> None:
    ada, eve = await cloud.person(), await cloud.person()
    tool = program(cloud, await made(ada, "read"))
    (one,) = await listed(ada)
    assert (await eve.send("DELETE", f"/v1/tokens/{one['id']}")).status == 404
    assert (await tool.send("GET", "/v1/devices")).status == 200
    assert (await ada.send("DELETE", f"/v1/tokens/{one['id']}")).status == 204
    assert (await tool.send("GET", "/v1/devices")).status == 401


async def test_a_token_ends_by_itself(cloud: Cloud) -> None:
    tool = program(cloud, await made(await cloud.person(), "read", days=1))
    cloud.clock.move(86399)
    assert (await tool.send("GET", "/v1/devices")).status == 200
    cloud.clock.move(1)
    assert (await tool.send("GET", "/v1/devices")).status == 401


async def test_the_last_use_is_shown_and_not_written_with_each_request(cloud: Cloud) -> None:
    ada = await cloud.person()
    tool = program(cloud, await made(ada, "read"))
    assert (await listed(ada))[0]["last_used_ms"] is None
    await tool.send("GET", "/v1/devices")
    used = cloud.clock.now_ms
    cloud.clock.move(10)
    await tool.send("GET", "/v1/devices")
    (one,) = await listed(ada)
    assert (one["last_used_ms"], one["last_address"]) == (used, "127.0.0.1")


async def test_a_suspended_accounts_tokens_open_nothing(cloud: Cloud) -> None:
    ada = await cloud.person()
    tool = program(cloud, await made(ada, "read"))
    mine = schema.account.c.id == ada.account_id
    await cloud.database.write(
        lambda c: c.execute(update(schema.account).where(mine).values(suspended=1)).close()
    )
    assert (await tool.send("GET", "/v1/devices")).status == 401


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"name": "x", "scopes": []}, "$.scopes"),
        ({"name": "x", "scopes": ["all"]}, "$.scopes[0]"),
        ({"name": "", "scopes": ["read"]}, "$.name"),
        ({"name": "x", "scopes": ["read"], "days": 0}, "$.days"),
    ],
)
async def test_a_wrong_wish_is_named(cloud: Cloud, wish: dict[str, Any], field: str) -> None:
    reply: Reply = await (await cloud.person()).send("POST", "/v1/tokens", wish)
    assert (reply.status, reply.problem.field) == (422, field)


async def test_the_page_shows_a_token_once_and_revokes_it(cloud: Cloud) -> None:
    ada = await cloud.person()
    pages = Browsing(cloud.session, cloud.base, ada.headers)
    page = await pages.post("/account/tokens", name="Backup", scope_read="1", scope_claim="1")
    found = re.search(r"mpt_[\w-]{43}", page.html)
    assert found
    assert (await program(cloud, found[0]).send("GET", "/v1/devices")).status == 200
    again = await pages.get("/account/tokens")
    assert "mpt_" not in again.html
    assert "Backup claim, read · Last used" in again.text
    (one,) = await listed(ada)
    gone = await pages.post("/account/tokens/revoke", token=one["id"])
    assert "Backup" not in gone.text
    nothing = await pages.post("/account/tokens", name="Backup")
    assert "Choose what the token may do." in nothing.text


async def test_making_and_revoking_stand_in_the_log_without_the_secret(cloud: Cloud) -> None:
    ada = await cloud.person()
    token = await made(ada, "read")
    await ada.send("DELETE", f"/v1/tokens/{(await listed(ada))[0]['id']}")
    rows = (await ada.send("GET", "/v1/audit")).read(dict[str, Any])["entries"]
    assert [row["action"] for row in rows[:2]] == ["token_revoked", "token_made"]
    assert token not in str(rows)
