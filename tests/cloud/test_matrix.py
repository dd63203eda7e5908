"""Every route of interface and dashboard, asked by everybody: the answers are those of the table."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cloud.api.openapi import plain_path
from protocol.codes import ulid, uuid7
from tests.cloud.cloud_server import Cloud
from tests.cloud.matrix import world
from tests.cloud.matrix_table import ACTORS, INTERFACE, ORDER, PAGES, Row
from tests.cloud.station_client import Reply

TABLE = INTERFACE | PAGES
CHANGING = [route for route in TABLE if route[0] not in ("GET", "HEAD", "OPTIONS")]
READING = [route for route in TABLE if route not in CHANGING]
_ID = {"/stations/{id}": "{device_id}", "/claims/{id}": "{claim_id}", "/invitations/{id}": "{invitation_id}"}


def served(cloud: Cloud) -> set[tuple[str, str]]:
    """What the router really knows, with the names of the table."""
    found = set()
    for route in cloud.app.router.routes():
        path = plain_path(str(route.resource.canonical)) if route.resource else ""
        for prefix, name in _ID.items():
            if path.startswith(prefix):
                path = path.replace("{id}", name)
        found.add((route.method, path))
    # aiohttp answers HEAD wherever it answers GET, by the same handler.
    return {(method, path) for method, path in found if method != "HEAD" or ("GET", path) not in found}


async def test_every_route_has_its_row_and_every_row_its_route(cloud: Cloud) -> None:
    assert served(cloud) == set(TABLE)


def test_every_row_speaks_of_everybody() -> None:
    assert {len(row.statuses.split()) for row in TABLE.values()} == {len(ACTORS)}
    assert sorted(ORDER) == sorted(ACTORS)


async def answers(cloud: Cloud, route: tuple[str, str], row: Row, there: Any) -> dict[str, int]:
    return {actor: (await there.ask(*route, row, actor)).status for actor in ORDER}


async def test_everybody_who_reads_gets_the_answer_of_the_table(cloud: Cloud) -> None:
    there = await world(cloud)
    wrong = {}
    for route in READING:
        row = TABLE[route]
        found = await answers(cloud, route, row, there)
        expected = {actor: row.expected(actor) for actor in ORDER}
        if found != expected:
            wrong[route] = {a: (found[a], expected[a]) for a in ORDER if found[a] != expected[a]}
    assert wrong == {}, "(found, expected)"


@pytest.mark.parametrize("route", CHANGING, ids=" ".join)
async def test_everybody_who_changes_gets_the_answer_of_the_table(
    cloud: Cloud, route: tuple[str, str]
) -> None:
    row = TABLE[route]
    found = await answers(cloud, route, row, await world(cloud))
    assert found == {actor: row.expected(actor) for actor in ORDER}


# --- unknown and foreign ------------------------------------------------------------------------------------

_UNKNOWN = {
    "device_id": ulid("dev_", 0),
    "claim_id": ulid("clm_", 0),
    "invitation_id": ulid("inv_", 0),
    "event_id": uuid7(0),
    "batch_id": ulid("bat_", 0),
    "message_id": ulid("reg_", 0),
    "serial": "0" * 32,
    "token": "mtt_" + "A" * 43,
    "upload_id": ulid("upl_", 0),
    "member_id": ulid("usr_", 0),
    "account_id": ulid("usr_", 0),
    "token_id": ulid("tok_", 0),
    "sha256": "0" * 64,
}
_OF_THE_REQUEST = re.compile(
    rb'"correlation_id":"[^"]*"|"server_time":"[^"]*"|404 [^<]*|csrf"( content| value)?="[^"]*"|value="[^"]*"'
)


def same(reply: Reply) -> tuple[int, bytes]:
    return reply.status, _OF_THE_REQUEST.sub(b"", reply.body)


async def test_what_is_foreign_looks_exactly_like_what_does_not_exist(cloud: Cloud) -> None:
    there = await world(cloud)
    compared = 0
    for (method, path), row in TABLE.items():
        for actor in ("stranger", "neighbour"):
            if "{" not in path or row.expected(actor) != 404:
                continue
            foreign = await there.ask(method, path, row, actor)
            unknown = await there.ask(method, path, row, actor, **_UNKNOWN)
            assert same(foreign) == same(unknown), (method, path, actor)
            compared += 1
    assert compared > 25
