"""What one database keeps and the other cannot: NUL characters, the longest texts, the largest numbers."""

from __future__ import annotations

import re
from typing import Any

import pytest

from protocol.limits import MAX_COUNT
from tests.cloud.cloud_server import Cloud
from tests.cloud.conftest import CONTRACT
from tests.cloud.matrix import world
from tests.cloud.matrix_table import INTERFACE, PAGES
from tests.cloud.people_client import Browsing

TABLE = INTERFACE | PAGES
_QUERIES = ("after", "before", "format", "next", "nonce", "search", "spot", "token", "wait")


def test_every_file_of_the_contract_runs_on_both_databases(request: pytest.FixtureRequest) -> None:
    here = request.path.parent
    assert [name for name in sorted(CONTRACT) if "cloud: Cloud" not in (here / name).read_text()] == []


async def test_a_nul_character_in_a_path_is_refused_and_no_fault(cloud: Cloud) -> None:
    there, failed = await world(cloud), []
    for (method, path), row in TABLE.items():
        for name in re.findall(r"{(\w+)}", path):
            for actor in ("owner", "administrator", "itself", "nobody"):
                reply = await there.ask(method, path, row, actor, **{name: "a%00b"})
                if not 300 <= reply.status < 500:
                    failed.append((method, path, name, actor, reply.status))
    assert failed == []


async def test_a_nul_character_in_a_query_is_no_fault(cloud: Cloud) -> None:
    there, failed = await world(cloud), []
    query = "?" + "&".join(f"{name}=a%00b" for name in _QUERIES)
    for method, path in TABLE:
        if method != "GET" or path == "/device-realtime":
            continue
        place = path.format(**there.names) + query
        for actor in ("owner", "administrator"):
            reply = await there.people[actor].send(method, place)
            if reply.status >= 500:
                failed.append((path, actor, reply.status))
    assert failed == []


async def test_a_nul_character_in_a_field_of_a_form_is_no_fault(cloud: Cloud) -> None:
    there, failed = await world(cloud), []
    pages = {
        actor: Browsing(cloud.session, cloud.base, there.people[actor].headers)
        for actor in ("owner", "administrator")
    }
    pages["nobody"] = Browsing(cloud.session, cloud.base, {"Origin": cloud.base})
    for (method, path), row in PAGES.items():
        form = {name: str(text).format(**there.names) for name, text in (row.body or {}).items()}
        if method != "POST":
            continue
        for field in form:
            for actor, browsing in pages.items():
                filled = form | {field: f"{form[field]}\0"}
                page = await browsing.post(path.format(**there.names), follow=False, **filled)
                if page.status >= 500:
                    failed.append((path, field, actor, page.status))
    assert failed == []


_LONG = "\U0001f320" * 200  # four bytes each, and a column counts characters


async def test_the_longest_words_and_largest_numbers_of_a_heartbeat_are_kept(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    large: dict[str, Any] = {"config_version": MAX_COUNT, "seq": MAX_COUNT, "uptime": 1e308}
    await station.beaten(boot_id=_LONG, config_error=_LONG, **large)
    shown = await ada.send("GET", station.place)
    assert shown.status == 200, shown
    assert shown.read(dict)["config_version_reported"] == 2**31 - 1


async def test_the_longest_words_of_an_event_come_back_as_they_were(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    event = station.event(client_event_id=_LONG, revision=2**31 - 1, metadata={"a": [_LONG, 1e308, None]})
    assert (await station.report(event)).status == 201
    assert (await station.report(event)).status == 200, "and the repeat is known"
    shown = await ada.send("GET", f"{station.place}/events/{event.event_id}")
    assert shown.status == 200, shown
    assert shown.read(dict)["client_event_id"] == _LONG


@pytest.mark.parametrize("row", ["a\0b,,", "Roof,a\0b,", "Roof,,a\0b"])
async def test_a_nul_character_in_a_list_of_stations_is_refused(cloud: Cloud, row: str) -> None:
    ada = await cloud.person()
    text = f"name,location,device_id\n{row}\n".encode()
    reply = await ada.send("POST", "/v1/devices/batches", text, **{"Content-Type": "text/csv"})
    assert (reply.status, reply.problem.code) == (422, "REG-007"), reply
