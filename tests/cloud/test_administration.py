"""Administrators: made on the command line, seeing everything, suspending at once, commanding nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from cloud.errors import AccountRefused
from cloud.security import audit
from cloud.security.administration import appoint
from cloud.store import schema
from protocol.codes import ulid
from tests.cloud.cloud_process import ROOT
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.people_client import Browsing, session, sign_in
from tests.cloud.people_parts import PASSWORD
from tests.cloud.station_client import Station


async def administrator(cloud: Cloud, email: str = "root@example.org") -> Person:
    person = await cloud.person(email)
    await cloud.database.write(lambda c: appoint(c, email, administrator=True, now_ms=cloud.clock.now_ms))
    return person


async def suspend(root: Person, kind: str, which: str, suspended: bool = True) -> int:
    reply = await root.send("POST", f"/v1/administration/{kind}/{which}", {"suspended": suspended})
    return reply.status


async def test_an_administrator_finds_every_station_and_account(cloud: Cloud) -> None:
    root, ada = await administrator(cloud), await cloud.person("ada@example.org")
    station = await cloud.claimed(ada)

    async def found(kind: str, search: str = "") -> list[str]:
        reply = await root.send("GET", f"/v1/administration/{kind}?search={search}")
        return [one["id"] for one in reply.read(dict[str, Any])[kind]]

    assert await found("devices") == [station.device_id]
    assert await found("devices", "ADA@") == [station.device_id]
    assert await found("devices", "eve") == []
    assert await found("devices", "%25") == [], "no wildcard"
    assert await found("accounts") == [ada.account_id, root.account_id]
    assert await found("accounts", "root") == [root.account_id]


async def test_a_search_knows_the_capital_letters_of_every_script(cloud: Cloud) -> None:
    root, ada = await administrator(cloud), await cloud.person("ada@example.org")
    station = await cloud.claimed(ada)
    assert (await ada.send("PATCH", station.place, {"name": "ÉTOILE Ωmega"})).status == 200
    for search in ("étoile", "ÉTOILE", "Étoile ω", "ωMEGA"):
        reply = await root.send("GET", f"/v1/administration/devices?search={search}")
        found = [one["id"] for one in reply.read(dict[str, Any])["devices"]]
        assert found == [station.device_id], search


async def test_taking_the_role_back_counts_from_the_next_request(cloud: Cloud) -> None:
    root, ada = await administrator(cloud), await cloud.person()
    station = await cloud.claimed(ada)
    assert (await root.send("GET", station.place)).status == 200
    await cloud.database.write(lambda c: appoint(c, "root@example.org", administrator=False, now_ms=1))
    assert (await root.send("GET", station.place)).status == 404
    assert (await root.send("GET", "/v1/administration/devices")).status == 404


async def gates(station: Station) -> list[int]:
    """The answers to everything that a station does with its data."""
    event = station.event()
    return [
        (await station.beat()).status,
        (await station.report(event)).status,
        (await station.send("GET", f"{station.place}/config")).status,
        (await station.send("GET", f"{station.place}/commands")).status,
        (await station.send("POST", f"{station.place}/events/kept", b'{"events":[],"media":[]}')).status,
    ]


async def test_a_suspended_station_is_refused_everywhere_at_once_and_heard_again_after(
    cloud: Cloud,
) -> None:
    root, ada = await administrator(cloud), await cloud.person()
    station = await cloud.claimed(ada)
    assert await gates(station) == [200, 201, 200, 200, 200]
    assert await suspend(root, "devices", station.device_id) == 204
    assert await gates(station) == [403] * 5
    claim = await station.claim_with_card()
    assert (claim.status, claim.reason) == (403, "not_active"), "and cannot come back as a new one"
    page = await Browsing(cloud.session, cloud.base, ada.headers).get(f"/stations/{station.device_id}")
    assert "Suspended by an administrator" in page.text
    assert await suspend(root, "devices", station.device_id, suspended=False) == 204
    assert await gates(station) == [200, 201, 200, 200, 200]


async def test_a_suspended_account_opens_nothing_and_its_stations_go_on(cloud: Cloud) -> None:
    root, ada = await administrator(cloud), await cloud.person("ada@example.org")
    station = await cloud.claimed(ada)
    assert await suspend(root, "accounts", ada.account_id) == 204
    assert (await ada.send("GET", "/v1/devices")).status == 401
    assert (await station.beat()).status == 200
    async with session() as client:
        form = {"email": "ada@example.org", "password": PASSWORD}
        async with client.post(f"{cloud.base}/sign-in", data=form) as reply:
            assert (reply.status, "suspended" in await reply.text()) == (403, True)
        async with client.post(f"{cloud.base}/sign-in", data=form | {"password": "guess"}) as reply:
            assert (reply.status, "suspended" in await reply.text()) == (401, False)
        await suspend(root, "accounts", ada.account_id, suspended=False)
        await sign_in(client, cloud.base, "ada@example.org", PASSWORD)
    assert (await ada.send("GET", "/v1/devices")).status == 401, "the old session stays ended"


async def test_nobody_suspends_themselves_or_what_is_not_there(cloud: Cloud) -> None:
    root = await administrator(cloud)
    assert await suspend(root, "accounts", root.account_id) == 422
    assert await suspend(root, "accounts", "usr_" + "0" * 26) == 404
    assert await suspend(root, "devices", "dev_" + "0" * 26) == 404


async def test_every_act_is_in_the_log_of_those_whom_it_concerns(cloud: Cloud) -> None:
    root, ada = await administrator(cloud), await cloud.person()
    station = await cloud.claimed(ada)
    await suspend(root, "devices", station.device_id)
    await suspend(root, "accounts", ada.account_id)
    await suspend(root, "accounts", ada.account_id, suspended=False)
    rows = (await root.send("GET", "/v1/audit")).read(dict[str, Any])["entries"]
    assert [(row["action"], row["actor"]) for row in rows[:3]] == [
        ("account_resumed", f"person:{root.account_id}"),
        ("account_suspended", f"person:{root.account_id}"),
        ("station_suspended", f"person:{root.account_id}"),
    ]


async def test_the_page_suspends_and_resumes(cloud: Cloud) -> None:
    root, ada = await administrator(cloud), await cloud.person()
    station = await cloud.claimed(ada)
    pages = Browsing(cloud.session, cloud.base, root.headers)
    for which in (station.device_id, ada.account_id):
        assert "Suspended" in (await pages.post("/administration", suspend=which)).text
        assert "Suspended" not in (await pages.post("/administration", resume=which)).text
    assert "None." in (await pages.get("/administration?search=nobody")).text


async def test_the_page_stays_small_however_many_there_are(cloud: Cloud) -> None:
    root = await administrator(cloud)
    ada = await cloud.person("a-rather-long-address-of-somebody@example.org")

    def many(connection: Connection) -> None:
        for number in range(60):
            station = {
                "id": ulid("dev_", number),
                "account_id": ada.account_id,
                "name": f"Station {number} " * 4,
            }
            rest = {"epoch": 1, "hardware_id": "x", "short_id": "BCDFGH", "status": "active", "created": 1}
            connection.execute(insert(schema.device).values(**station, **rest, last_seen_ms=1))
            person = {"id": ulid("usr_", number), "email": f"{number}@example.org", "name": "Somebody"}
            connection.execute(insert(schema.account).values(**person, password_hash="x", created=1))
            audit.record(connection, 1, f"person:{ada.account_id}", "command_queued", station["id"])

    await cloud.database.write(many)
    pages = Browsing(cloud.session, cloud.base, root.headers)
    for path in ("/administration", "/account/log"):
        page = await pages.get(path)
        assert (page.status, len(page.html.encode()) < 20_000) == (200, True), (path, len(page.html))
    assert "more than fit here" in (await pages.get("/administration")).text


async def test_an_unknown_address_cannot_be_appointed(cloud: Cloud) -> None:
    with pytest.raises(AccountRefused):
        await cloud.database.write(lambda c: appoint(c, "no@example.org", administrator=True, now_ms=1))


def test_the_command_makes_an_administrator_and_takes_it_back(tmp_path: Path) -> None:
    def run(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cloud", *words, "--data-dir", str(tmp_path)]
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, input=text, timeout=60, check=False
        )

    assert run("create-user", "ada@example.org", "--password-stdin", text=PASSWORD).returncode == 0
    assert run("administrator", "ada@example.org").stdout == "ada@example.org is now an administrator.\n"
    gone = run("administrator", "ada@example.org", "--remove")
    assert gone.stdout == "ada@example.org is no longer an administrator.\n"
    assert run("administrator", "eve@example.org").returncode == 6
    log = run("audit", "export").stdout
    assert ["administrator_made" in log, "administrator_ended" in log] == [True, True]
