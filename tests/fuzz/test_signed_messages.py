"""Rubbish in messages that stations sign: each is refused with its reason, and the cloud goes on."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from cloud.api.routing import Route
from cloud.fleet.models import EventList
from cloud.store import schema
from protocol.errors import PROBLEM_TYPE
from protocol.event import BatchAnswer, EventAnswer
from tests.cloud.cloud_server import Cloud
from tests.cloud.people_client import Browsing
from tests.cloud.station_client import Reply
from tests.fuzz.rubbish import HEADER_VALUES, MESSAGES, SEED, altered, dump
from tests.fuzz.signed import GOOD, PIECE, Bench, Good, bench, name_of, routes
from tests.fuzz.wire import Wire

ABREAST = 4
HEADERS = (
    *("content-type", "content-encoding", "content-digest", "idempotency-key", "if-none-match"),
    "x-request-id",
    *("tus-resumable", "upload-length", "upload-metadata", "upload-offset", "upload-checksum"),
    "authorization",
    *("signature-input", "signature", "x-request-timestamp", "x-device-signature", "cookie"),
    "accept",
    "host",
    *("origin", "user-agent", "x-forwarded-for", "x-csrf-token", "x" * 200),
)  # fmt: skip
QUERIES = (
    "?",
    "?a=%ff%00",
    "?wait=-1",
    "?wait=%D9%A3",
    "?wait=1e3",
    "?%",
    "?a=%zz",
    "?limit=x",
    "?a[]=1&a=2",
)

pytestmark = pytest.mark.usefixtures("unlimited")


def test_every_message_that_a_station_signs_is_here() -> None:
    assert set(GOOD) == {name_of(route) for route in routes()}


def each() -> Iterator[Any]:
    for route in routes():
        for number in range(len(GOOD[name_of(route)])):
            yield pytest.param(route, number, id=name_of(route) + (" batch" if number else ""))


@pytest.mark.parametrize(("route", "number"), list(each()))
async def test_rubbish_is_refused_with_its_reason_and_leaves_no_trace(
    cloud: Cloud, caplog: pytest.LogCaptureFixture, route: Route, number: int
) -> None:
    at = await bench(cloud)
    before = await stored(cloud)
    dice = random.Random(f"{SEED} {name_of(route)} {number}")
    make = GOOD[name_of(route)][number]
    caplog.clear()
    replies: list[Reply] = []

    async def some(count: int) -> None:
        wire = Wire(cloud.settings.port)
        for _ in range(count):
            replies.append(await spoiled(wire, route, make(at), dice))
        await wire.close()

    await asyncio.gather(*(some(MESSAGES // ABREAST) for _ in range(ABREAST)))
    for reply in replies:
        check(route, reply)
    unwell(caplog)
    assert await stored(cloud) - before == taken(replies)
    await readable(cloud, at)
    await as_before(cloud, at, route, make(at))


async def spoiled(wire: Wire, route: Route, good: Good, dice: random.Random) -> Reply:
    """One request with one thing wrong: the message, a header, the query, or a body where none belongs."""
    body, headers, kind, target = good.body, dict(good.headers), good.content_type, good.path
    what = dice.random()
    if what < 0.7 and body:
        body = altered(body, dice) if kind != PIECE else dice.randbytes(dice.choice((0, 1, 5, 70_000)))
    elif what < 0.8:
        target += dice.choice(QUERIES)
    elif what < 0.83 and not body:
        body = altered(b'{"a": 1}', dice)
    signed = good.station.signed(route.method, target, body, headers, content_type=kind)
    lines = [("host", f"127.0.0.1:{wire.port}".encode()), *((n, v.encode()) for n, v in signed.items())]
    if what > 0.83:
        name, value = dice.choice(HEADERS), dice.choice(HEADER_VALUES)
        if dice.random() < 0.8:
            lines = [line for line in lines if line[0] != name]
        lines.append((name, value))
    return await wire.ask(route.method, target, lines, body)


def check(route: Route, reply: Reply) -> None:
    """A documented yes, or a refusal in the one shape of errors that says what is wrong."""
    if reply.status in route.answers:
        return
    assert 400 <= reply.status < 500, reply
    if route.method == "HEAD":
        return
    if "x-request-id" not in reply.headers:  # no HTTP at all: it never came to us
        assert reply.status == 400, reply
        return
    assert reply.headers["content-type"] == PROBLEM_TYPE, reply
    problem = reply.problem
    assert problem.status == reply.status
    assert problem.reason, reply
    assert problem.detail, reply
    assert problem.correlation_id == reply.headers["x-request-id"]
    if problem.code == "REG-007" or reply.status == 422:
        assert (problem.field or "").startswith("$"), reply


def unwell(caplog: pytest.LogCaptureFixture) -> None:
    """No failure was logged, and no task of the cloud has died."""
    failures = [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info]
    assert [record.getMessage() for record in failures] == []
    assert {"upkeep", "registrations"} <= {task.get_name() for task in asyncio.all_tasks()}


async def stored(cloud: Cloud) -> int:
    count = select(func.count()).select_from(schema.event)
    return int(await cloud.database.read(lambda c: c.execute(count).scalar_one()))


def taken(replies: list[Reply]) -> int:
    """How many new events got a yes."""
    new = 0
    for reply in replies:
        if reply.status == 201 and b"processing_started" in reply.body:
            new += 1
        elif reply.status == 200 and b'"results"' in reply.body:
            answers: list[EventAnswer] = reply.read(BatchAnswer).results
            new += sum(each.status == "received" and not each.duplicate for each in answers)
    return new


async def readable(cloud: Cloud, at: Bench) -> None:
    """What was taken can be shown, by the interface and on the pages."""
    pages, before = Browsing(cloud.session, cloud.base, at.owner.headers), ""
    place = at.claimed.place
    while True:
        reply = await at.owner.send("GET", f"{place}/events?limit=200{before}")
        assert reply.status == 200, reply
        found = reply.read(EventList)
        for one in found.events:
            shown = await at.owner.send("GET", f"{place}/events/{one.event_id}")
            assert shown.status == 200, one
        for one in found.events[:25]:
            page = await pages.get(f"/stations/{at.claimed.device_id}/events/{one.event_id}")
            assert page.status == 200, one
        if found.next_before is None:
            break
        before = f"&before={found.next_before}"
    assert (await at.owner.send("GET", place)).status == 200
    assert (await pages.get(f"/stations/{at.claimed.device_id}")).status == 200
    assert (await at.owner.send("GET", "/v1/account/export")).status == 200


async def as_before(cloud: Cloud, at: Bench, route: Route, good: Good) -> None:
    """The good message is taken still."""
    cloud.clock.move(30)
    if route.path.endswith("/register/confirm"):
        another = cloud.station()  # this claim is over: wrong answers count
        claim_id = await another.wait_on_card()
        await at.owner.named(short_id=another.short_id, pin=another.pin)
        await another.finish(claim_id)
        return
    if route.path.endswith("uploads/{upload_id:upl_[0-9A-Z]{26}}") and route.method == "PATCH":
        await at.claimed.upload(at.file)
        return
    reply = await good.station.send(
        route.method, good.path, good.body, good.headers, content_type=good.content_type
    )
    assert reply.status in route.answers, reply


# --- the field is named -------------------------------------------------------------------------------------


def leaves(value: Any, path: str = "$") -> Iterator[tuple[str, Any, Any]]:
    """Path, holder and key of every value that is neither an object nor a list."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in pairs:
        here = f"{path}.{key}" if isinstance(value, dict) else f"{path}[{key}]"
        if isinstance(each, dict | list):
            yield from leaves(each, here)
        else:
            yield here, value, key


@pytest.mark.parametrize(
    "route",
    [route for route in routes() if route.body not in (None, bytes)],
    ids=lambda route: name_of(route),
)
async def test_a_value_of_the_wrong_type_is_named_by_its_path(cloud: Cloud, route: Route) -> None:
    at = await bench(cloud)
    good = GOOD[name_of(route)][0](at)
    checked = 0
    for path, _, _ in leaves(json.loads(good.body)):
        if path.startswith("$.metadata"):
            continue
        message = json.loads(good.body)
        holder, key = next((holder, key) for where, holder, key in leaves(message) if where == path)
        holder[key] = {"no": "such thing"}
        reply = await good.station.send(route.method, good.path, dump(message))
        assert (reply.status, reply.problem.field) == (422, path), reply
        checked += 1
    assert checked
