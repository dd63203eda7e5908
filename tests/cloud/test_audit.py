"""The security log: every event makes a row, no row can go unseen, and everybody sees their own."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from cloud import keys
from cloud.errors import StoreError
from cloud.security import audit
from cloud.security.seal import FILE, Seal, parse
from cloud.store import schema
from cloud.store.engine import Database
from cloud.store.migrate import upgrade
from tests.cloud.cloud_process import ROOT
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.people_client import Browsing, session, sign_in
from tests.cloud.people_parts import PASSWORD


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    upgrade(opened)
    try:
        yield opened
    finally:
        opened.close()


def fill(database: Database, rows: int = 5) -> None:
    for number in range(rows):
        database.write_now(lambda c, n=number: audit.record(c, n, "system", "tested", "s", n=n))  # type: ignore[misc]


# --- the chain and its seal ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        ("UPDATE audit SET address = '203.0.113.9' WHERE seq = 3", 3),
        ("UPDATE audit SET device_id = 'dev_x' WHERE seq = 2", 2),
        ("UPDATE audit SET actor = 'system2' WHERE seq = 4", 4),
        ("UPDATE audit SET subject = 'other' WHERE seq = 1", 1),
        ("UPDATE audit SET hash = prev_hash WHERE seq = 5", 5),
        ("DELETE FROM audit WHERE seq = 1", 1),
        ("DELETE FROM audit WHERE seq = 3", 3),
        ("DELETE FROM audit WHERE seq >= 4", 4),
        ("DELETE FROM audit", 1),
    ],
)
async def test_every_kind_of_tampering_is_found_with_its_row(
    database: Database, tmp_path: Path, statement: str, row: int
) -> None:
    fill(database)
    seal = Seal(tmp_path, database)
    await seal.follow()
    assert seal.verify().broken is None
    database.write_now(lambda c: c.execute(text(statement)).close())
    found = seal.verify()
    assert found.broken == row
    assert found.reason


async def test_a_chain_made_anew_from_the_first_row_does_not_fit_the_seal(
    database: Database, tmp_path: Path
) -> None:
    fill(database)
    seal = Seal(tmp_path, database)
    await seal.follow()
    database.write_now(lambda c: c.execute(schema.audit.delete()).close())
    fill(database, 6)
    database.write_now(lambda c: c.execute(text("DELETE FROM audit WHERE seq > 0")).close())
    for number in range(6):
        database.write_now(lambda c, n=number: audit.record(c, n, "system", "forged", "s"))  # type: ignore[misc]
    assert database.read_now(audit.first_broken) is None, "the forged chain is one"
    assert seal.verify().broken == 5


async def test_the_seal_is_never_moved_past_a_row_that_is_gone(database: Database, tmp_path: Path) -> None:
    fill(database)
    seal = Seal(tmp_path, database)
    await seal.follow()
    before = (tmp_path / FILE).read_text()
    database.write_now(lambda c: c.execute(text("DELETE FROM audit WHERE seq = 5")).close())
    with pytest.raises(StoreError, match="audit verify"):
        await seal.follow()
    assert (tmp_path / FILE).read_text() == before


async def test_the_seal_follows_new_rows_and_is_private(database: Database, tmp_path: Path) -> None:
    seal = Seal(tmp_path, database)
    await seal.follow()
    assert seal.read() == (0, audit.FIRST)
    fill(database, 2)
    await seal.follow()
    assert seal.read() == database.read_now(audit.head)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_noted_head_is_compared_too(database: Database, tmp_path: Path) -> None:
    fill(database, 3)
    seal, noted = Seal(tmp_path, database), database.read_now(audit.head)
    assert seal.verify(noted).broken is None
    assert seal.verify((3, "0" * 64)).broken == 3
    assert seal.verify((9, noted[1])).broken == 4


@pytest.mark.parametrize("text", ["", "1", "1:x", "x:" + "0" * 64, "1:" + "0" * 63])
def test_a_damaged_seal_is_an_error(text: str) -> None:
    with pytest.raises(StoreError):
        parse(text)


def test_rows_from_before_the_new_columns_keep_their_hashes(database: Database) -> None:
    def old(connection: Any) -> None:
        entry = {"seq": 1, "at": 1, "actor": "system", "action": "a", "subject": "s", "detail": "{}"}
        # What the first version hashed: these members and no others.
        made = entry | {"prev_hash": audit.FIRST}
        connection.execute(insert(schema.audit).values(**made, hash=audit._digest(made)))

    database.write_now(old)
    fill(database, 2)
    assert database.read_now(audit.first_broken) is None


# --- who sees what ------------------------------------------------------------------------------------------


async def entries(person: Person, query: str = "") -> list[dict[str, Any]]:
    reply = await person.send("GET", f"/v1/audit{query}")
    assert reply.status == 200, reply
    found: list[dict[str, Any]] = reply.read(dict[str, Any])["entries"]
    return found


async def test_an_owner_sees_who_did_what_when_from_where_to_which_station(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    await ada.send("POST", f"/v1/devices/{station.device_id}/commands", {"type": "restart"})
    newest = (await entries(ada))[0]
    assert newest["action"] == "command_queued"
    assert newest["actor"] == f"person:{ada.account_id}"
    assert newest["device_id"] == station.device_id
    assert newest["address"] == "127.0.0.1"
    assert newest["at_ms"] == cloud.clock.now_ms


async def test_a_stranger_sees_none_of_it(cloud: Cloud) -> None:
    ada, eve = await cloud.person(), await cloud.person()
    station = await cloud.claimed(ada)
    await ada.send("POST", f"/v1/devices/{station.device_id}/commands", {"type": "restart"})
    assert [row["action"] for row in await entries(eve)] == ["account_created"]


async def test_an_administrator_sees_everything(cloud: Cloud) -> None:
    ada, root = await cloud.person(), await cloud.person()
    await cloud.claimed(ada)
    await cloud.database.write(
        lambda c: c.execute(
            schema.account.update().where(schema.account.c.id == root.account_id).values(administrator=True)
        ).close()
    )
    rows = await cloud.database.read(lambda c: c.execute(select(schema.audit.c.seq)).scalars().all())
    assert sorted(row["seq"] for row in await entries(root)) == sorted(rows)


async def test_older_rows_are_one_page_away(cloud: Cloud) -> None:
    ada = await cloud.person()
    for _ in range(3):
        await ada.token()
    first = await entries(ada, "?limit=2")
    second = await entries(ada, f"?limit=2&before={first[-1]['seq']}")
    assert [row["seq"] for row in first + second] == [4, 3, 2, 1]


async def test_both_exports_hold_every_row_and_can_be_checked_elsewhere(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    await station.send("GET", f"{station.place}/commands", nonce="1.1")
    shown = await entries(ada)
    reply = await ada.send("GET", "/v1/audit/export?format=jsonl")
    as_lines = [json.loads(line) for line in reply.body.decode().splitlines()]
    assert as_lines == list(reversed(shown))
    assert "attachment" in reply.headers["Content-Disposition"]
    table = await ada.send("GET", "/v1/audit/export?format=csv")
    rows = list(csv.DictReader(io.StringIO(table.body.decode())))
    assert [row["hash"] for row in rows] == [row["hash"] for row in as_lines]
    assert (await ada.send("GET", "/v1/audit/export?format=xml")).problem.field == "$.format"


async def test_the_page_says_it_in_words_and_offers_both_files(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    await station.beaten("operational", config_error="signature is wrong")
    pages = Browsing(cloud.session, cloud.base, ada.headers)
    page = await pages.get("/account/log")
    assert page.status == 200
    for words in ("Station added", "A station refused its settings", "You", "The station", "127.0.0.1"):
        assert words in page.text
    for kind in ("csv", "jsonl"):
        assert (await pages.get(f"/account/log.{kind}")).status == 200
    assert (await pages.get("/account/log.xml")).status == 404


# --- what makes rows ----------------------------------------------------------------------------------------


async def test_every_security_event_of_a_station_makes_a_row(cloud: Cloud) -> None:
    ada = await cloud.person()
    first, second = await cloud.claimed(ada), await cloud.claimed(ada)
    path = f"{first.place}/commands"
    forged = first.signed("GET", f"{second.place}/commands")
    await first.raw("GET", path, b"", forged)
    once = first.signed("GET", path)
    await first.raw("GET", path, b"", once)
    await first.raw("GET", path, b"", once)
    await first.send("GET", f"{second.place}/commands")
    await cloud.database.write(
        lambda c: c.execute(
            schema.device.update().where(schema.device.c.id == first.device_id).values(status="suspended")
        ).close()
    )
    await first.send("GET", path)
    rows = [row for row in await entries(ada) if row["subject"] == first.keyid]
    assert [row["action"] for row in reversed(rows)] == [
        "bad_signature",
        "replayed_nonce",
        "foreign_path",
        "revoked_use",
    ]
    assert {row["device_id"] for row in rows} == {first.device_id}


async def test_guessing_a_password_and_a_pin_makes_rows_for_the_victim(cloud: Cloud) -> None:
    ada, eve = await cloud.person("ada@example.org"), await cloud.person()
    async with session() as client:
        with pytest.raises(AssertionError):
            await sign_in(client, cloud.base, "ada@example.org", "guessed")
        await sign_in(client, cloud.base, "ada@example.org", PASSWORD)
    station = cloud.station()
    await station.wait_on_card()
    await eve.named(short_id=station.short_id, pin="000000" if station.pin != "000000" else "111111")
    assert [row["action"] for row in (await entries(ada))[:2]] == ["signed_in", "sign_in_failed"]
    assert (await entries(eve))[0]["action"] == "wrong_code"
    assert await cloud.database.read(audit.first_broken) is None


async def test_the_upkeep_of_a_running_cloud_seals(cloud: Cloud) -> None:
    assert cloud.app[keys.TRAIL]
    await Seal(cloud.settings.data_dir, cloud.database).follow()
    assert (cloud.settings.data_dir / FILE).is_file()


# --- the command --------------------------------------------------------------------------------------------


def run(*arguments: object, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cloud", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        input=text,
        timeout=60,
        check=False,
    )


def test_the_command_says_that_all_rows_hold_or_which_does_not(tmp_path: Path) -> None:
    for name in ("ada", "eve"):
        run(
            "create-user", f"{name}@example.org", "--data-dir", tmp_path, "--password-stdin", text=PASSWORD
        ).check_returncode()
    good = run("audit", "verify", "--data-dir", tmp_path)
    assert good.stdout.startswith("All 2 rows hold.\nHead: 2:"), good
    head = good.stdout.splitlines()[1].removeprefix("Head: ")
    assert run("audit", "verify", "--data-dir", tmp_path, "--head", head).returncode == 0
    exported = run("audit", "export", "--data-dir", tmp_path)
    assert [json.loads(line)["action"] for line in exported.stdout.splitlines()] == ["account_created"] * 2
    with sqlite3.connect(tmp_path / "cloud.db") as connection:
        connection.execute("DELETE FROM audit WHERE seq = 2")
    assert run("audit", "verify", "--data-dir", tmp_path).returncode == 0, "without a note nobody can know"
    cut = run("audit", "verify", "--data-dir", tmp_path, "--head", head)
    assert (cut.returncode, cut.stderr.startswith("meteor-cloud: Row 2 of the security log")) == (7, True)
    with sqlite3.connect(tmp_path / "cloud.db") as connection:
        connection.execute("UPDATE audit SET action = 'nothing'")
    changed = run("audit", "verify", "--data-dir", tmp_path)
    assert (changed.returncode, "Row 1" in changed.stderr, "CLD-006" in changed.stderr) == (7, True, True)
