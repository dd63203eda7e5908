"""Rubbish at the station's pages, in every state: a page or a refusal, never a failure of the station."""

from __future__ import annotations

import logging
import random
import re
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from portal.captive import ONLINE
from portal.context import CONTEXT
from portal.fakes import PIN, FakeStation
from portal.server import create_app, serving
from portal.settings import PortalSettings
from protocol import server_log
from tests.cloud.station_client import Reply
from tests.fuzz.rubbish import HEADER_VALUES, MESSAGES, SEED, VALUES, Raw
from tests.fuzz.wire import Wire
from tests.portal.test_pages import PAGES

FORM = b"application/x-www-form-urlencoded"
NAMES = (
    *("network", "name", "security", "password", "claim_code", "country", "as_typed", "code", "token", "pin"),
    *("technician", "short_id", "networks", "events", "language", "back", "identity", "method"),
    "anonymous",
    *("address", "prefix", "gateway", "dns", "unchecked", "fixed", "show", "enter", "done", "x" * 300, ""),
)
HEADERS = (
    "host",
    "accept-language",
    "cookie",
    "content-type",
    "origin",
    "sec-fetch-site",
    "accept",
    "range",
    "content-encoding",
)
FOREIGN = (
    b"captive.apple.com",
    b"connectivitycheck.gstatic.com",
    b"\xff",
    b"[::1",
    b"a:b:c",
    b"",
    b"x" * 3_000,
)
_TOKEN = re.compile(rb'name="token" value="([^"]+)"')
_DESK = re.compile(rb'name="technician" value="([^"]+)"')


@pytest.fixture
async def app() -> web.Application:
    server_log.tame()  # as the daemon does
    settings = PortalSettings(names=("meteor-kxpmvt.local",), attempts_burst=10**9)
    return create_app(FakeStation(), settings=settings)


@pytest.fixture
async def wire(app: web.Application) -> AsyncIterator[Wire]:
    async with serving(app, "127.0.0.1", 0) as base:
        line = Wire(int(base.rpartition(":")[2]))
        yield line
        await line.close()


def paths(app: web.Application) -> list[tuple[str, str]]:
    """Every route, probes, and addresses that nobody has. `GET /events` never ends by itself."""
    found = [
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.resource.canonical != "/events"
    ]
    strange = (
        "/%00",
        "/%ff",
        "/..%2f..%2fetc/passwd",
        "//",
        "/x" * 900,
        "http://foreign.example/x",
        "*",
        "/%",
    )
    return (
        found + [("GET", path) for path in (*ONLINE, *strange)] + [("HEAD", "/events"), ("POST", "/events")]
    )


def text(dice: random.Random, *, raw_too: bool) -> bytes:
    """One value of a form, encoded or not."""
    value = dice.choice(VALUES)
    raw = bytes(value) if isinstance(value, Raw) else str(value).encode("utf-8", "replace")
    kind = dice.randrange(4)
    if kind == 0 and raw_too:
        return raw[:9_000]
    return b"".join(b"%%%02x" % byte for byte in raw[: 300 if kind < 3 else 20_000])


def form(dice: random.Random, *, raw_too: bool = True, **right: bytes) -> bytes:
    fields = [
        (name.encode(), text(dice, raw_too=raw_too)) for name in dice.choices(NAMES, k=dice.randrange(8))
    ]
    fields += [(name.encode(), value) for name, value in right.items() if dice.random() < 0.9]
    dice.shuffle(fields)
    return b"&".join(name + b"=" + value for name, value in fields)


async def one(wire: Wire, app: web.Application, dice: random.Random, token: bytes, desk: bytes) -> Reply:
    method, path = dice.choice(paths(app))
    if dice.random() < 0.1 and path != "/events":
        method = dice.choice(("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"))
    for name in re.findall(r"\{(\w+)\}", path):
        path = path.replace(
            f"{{{name}}}", dice.choice(("NET-001", "style.css", "%00", "%2e%2e", "x" * 500, "💥"))
        )
    target = path.encode().decode("utf-8", "surrogateescape")
    if dice.random() < 0.5:
        target += "?" + form(dice, raw_too=dice.random() < 0.1).decode("utf-8", "surrogateescape")
    headers = {"host": b"127.0.0.1", "content-type": FORM, "origin": b"http://127.0.0.1"}
    if dice.random() < 0.3:
        headers[dice.choice(HEADERS)] = dice.choice(HEADER_VALUES)
    if dice.random() < 0.1:
        headers["host"] = dice.choice(FOREIGN)
    body = b"" if method in ("GET", "HEAD") else form(dice, token=token, technician=desk)
    return await wire.ask(method, target, headers.items(), body)


async def tokens(wire: Wire) -> tuple[bytes, bytes]:
    """What a page of ours puts into its forms: for everybody, and behind the PIN."""
    headers = {"host": b"127.0.0.1", "content-type": FORM, "origin": b"http://127.0.0.1"}
    found = _TOKEN.search((await wire.ask("GET", "/technician", headers.items(), b"")).body)
    assert found
    sent = b"token=" + found[1] + b"&pin=" + PIN.encode()
    behind = _DESK.search((await wire.ask("POST", "/technician", headers.items(), sent)).body)
    assert behind
    return found[1], behind[1]


@pytest.mark.parametrize("name", sorted({snapshot.state for snapshot, _ in PAGES.values()}))
async def test_rubbish_gets_a_page_or_a_refusal_in_every_state(
    app: web.Application, wire: Wire, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    snapshot, path = next(page for page in PAGES.values() if page[0].state == name)
    station = app[CONTEXT].station
    assert isinstance(station, FakeStation)
    await station.show(snapshot)
    token, desk = await tokens(wire)
    dice = random.Random(f"{SEED} {name}")
    caplog.clear()
    seen: Counter[int] = Counter()
    for _ in range(MESSAGES):
        reply = await one(wire, app, dice, token, desk)
        assert reply.status < 500 or reply.status == 501, reply
        seen[reply.status] += 1
        await station.show(snapshot)
    assert seen[200] > seen[400], seen
    failures = [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info]
    assert [record.getMessage() for record in failures] == []
    assert (await wire.ask("GET", path, [("host", b"127.0.0.1")], b"")).status == 200
