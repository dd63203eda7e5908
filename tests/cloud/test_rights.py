"""One's data: the copy holds everything and no secret; after the end nothing of it is left anywhere."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import func, select

from cloud import keys
from cloud.rights import removal
from cloud.rights.removal import REMOVAL
from cloud.rights.tables import of_accounts, of_stations
from cloud.security import audit
from cloud.security.vault import Secrets
from cloud.store import schema
from tests.cloud.cloud_server import Cloud, Person, running_cloud
from tests.cloud.people_client import Browsing
from tests.cloud.people_parts import PASSWORD, Clock
from tests.cloud.station_client import Station

CANARIES = {
    "mail address": b"canary-mail@example.org",
    "name": b"Canaria Persona",
    "station": b"Canary Roof",
    "hardware": b"CPU_CANARY00000001",
    "event": b"canary-observation",
    "file": b"canary picture bytes",
    "invited": b"canary-guest@example.org",
    "token": b"Canary program",
    "browser": b"Canary browser",
    "command": b"canary_parameter",
}


@pytest.fixture
async def both(database_url: str, tmp_path: Path, secrets: Secrets, moved_clock: Clock) -> Any:
    async with running_cloud(tmp_path / "cloud", secrets, moved_clock, database_url) as cloud:
        yield cloud


async def filled(cloud: Cloud) -> tuple[Person, Station]:
    """An account with one of everything, each with its canary."""
    ada = await cloud.person(CANARIES["mail address"].decode())
    browsing = Browsing(cloud.session, cloud.base, ada.headers)
    await browsing.post("/account/name", name=CANARIES["name"].decode())
    station = cloud.station()
    token = await ada.token(name=CANARIES["station"].decode())
    request = station.claim_request(
        claim_token=token["claim_token"], hardware_id=CANARIES["hardware"].decode()
    )
    reply = await station.send("POST", "/v1/devices/claim", request)
    assert reply.status == 201, reply
    station.take(reply)
    event = station.event(CANARIES["file"], client_event_id=CANARIES["event"].decode())
    await station.reported(event)
    await station.upload(CANARIES["file"])
    await station.beaten("operational")
    place = f"/v1/devices/{station.device_id}"
    order = {"type": "restart", "parameters": {CANARIES["command"].decode(): 1}}
    assert (await ada.send("POST", f"{place}/commands", order)).status == 201
    guest = {"email": CANARIES["invited"].decode(), "role": "viewer"}
    assert (await ada.send("POST", f"{place}/people", guest)).status == 204
    wish = {"name": CANARIES["token"].decode(), "scopes": ["read"]}
    assert (await ada.send("POST", "/v1/tokens", wish)).status == 201
    await cloud.database.write(
        lambda c: c.execute(schema.session.update().values(user_agent=CANARIES["browser"].decode())).close()
    )
    return ada, station


async def copy(person: Person) -> dict[str, bytes]:
    reply = await person.send("GET", "/v1/account/export")
    assert reply.status == 200
    with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


# --- the copy -----------------------------------------------------------------------------------------------


async def test_the_copy_holds_everything_of_the_person_and_no_proof(both: Cloud) -> None:
    ada, station = await filled(both)
    members = await copy(ada)
    whole = b"\n".join(members.values())
    assert [name for name, canary in CANARIES.items() if canary not in whole] == []
    place = f"stations/{station.device_id}"
    assert (
        next(body for name, body in members.items() if name.startswith(f"{place}/files/")) == CANARIES["file"]
    )
    event = json.loads(members[f"{place}/event.jsonl"])
    assert event["body"]["client_event_id"] == CANARIES["event"].decode(), "JSON and not hex"
    names = {f"{place}/{table.name}.jsonl" for table, _ in of_stations()}
    names |= {f"{table.name}.jsonl" for table, _ in of_accounts()}
    assert names <= set(members), "every table that belongs to somebody"
    assert b"argon2" not in whole
    for column in (schema.session.c.token_hash, schema.session.c.csrf, schema.api_token.c.token_hash):
        query = select(column)
        for secret in both.database.read_now(lambda c, q=query: c.execute(q).scalars().all()):  # type: ignore[misc]
            assert secret.encode() not in whole


async def test_the_copy_holds_nothing_of_others(cloud: Cloud) -> None:
    await filled(cloud)
    whole = b"\n".join((await copy(await cloud.person("eve@example.org"))).values())
    assert [name for name, canary in CANARIES.items() if canary in whole] == []


async def test_more_rows_than_a_page_are_all_in_the_copy(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud.rights.archive._ROWS", 2)
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    for number in range(5):
        await station.reported(station.event())
        await ada.send("PATCH", station.place, {"name": f"Roof {number}"})
    members = await copy(ada)
    place = f"stations/{station.device_id}"
    assert len(members[f"{place}/event.jsonl"].splitlines()) == 5
    versions = [json.loads(line)["version"] for line in members[f"{place}/config.jsonl"].splitlines()]
    assert versions == list(range(1, 7))


async def test_taking_a_copy_stands_in_the_log_and_is_limited(cloud: Cloud) -> None:
    ada = await cloud.person()
    statuses = [(await ada.send("GET", "/v1/account/export")).status for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    rows = (await ada.send("GET", "/v1/audit")).read(dict[str, Any])["entries"]
    assert [row["action"] for row in rows].count("data_exported") == 5


async def test_a_copy_that_breaks_off_is_no_whole_file(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, _ = await filled(cloud)

    def broken(_path: Path) -> Iterator[bytes]:
        yield b"x" * (1 << 20)
        raise OSError("the disk is gone")

    monkeypatch.setattr("cloud.rights.archive._contents", broken)
    with pytest.raises(aiohttp.ClientError):
        await ada.send("GET", "/v1/account/export")


# --- the end ------------------------------------------------------------------------------------------------


def everywhere(cloud: Cloud) -> bytes:
    """Every row of every table, and with SQLite the bytes of its files too; every file of the data folder."""

    def rows(connection: Any) -> str:
        return "".join(
            str([dict(row._mapping) for row in connection.execute(select(table))])
            for table in schema.metadata.sorted_tables
        )

    folder = cloud.settings.data_dir
    files = [path for path in folder.rglob("*") if path.is_file()]
    if cloud.database.is_sqlite:
        base = Path(cloud.database.url.database or "")
        files += [path for path in base.parent.glob(base.name + "*") if path.is_file()]
    names = "\n".join(str(path.relative_to(folder)) for path in folder.rglob("*"))
    return (
        cloud.database.read_now(rows).encode()
        + names.encode()
        + b"".join(path.read_bytes() for path in files)
    )


def found(cloud: Cloud, *more: str) -> list[str]:
    whole = everywhere(cloud)
    return [name for name, canary in CANARIES.items() if canary in whole] + [
        each for each in more if each.encode() in whole
    ]


async def test_after_the_end_of_an_account_nothing_of_it_is_left_but_the_log(both: Cloud) -> None:
    ada, station = await filled(both)
    eve = await both.person("eve@example.org")
    others = await both.claimed(eve)
    await others.reported(others.event())
    assert sorted(found(both)) == sorted(CANARIES), "or the search proves nothing"
    assert (await ada.send("POST", "/v1/account/delete", {"password": PASSWORD})).status == 204
    both.clock.move(removal._AGAIN_MS / 1000)
    await both.app[REMOVAL].finish()
    assert found(both, station.keyid, station.short_id) == []
    log = both.database.read_now(lambda c: c.execute(select(schema.audit)).all())
    stub = [row.action for row in log if row.actor == f"person:{ada.account_id}"]
    assert stub[-2:] == ["station_deleted", "account_deleted"]
    assert both.database.read_now(audit.first_broken) is None
    assert (await ada.send("GET", "/v1/devices")).status == 401
    refused = await station.beat()
    assert (refused.status, refused.reason) == (401, "unknown_key")
    listed = (await eve.send("GET", "/v1/devices")).read(dict[str, Any])["devices"]
    assert [one["id"] for one in listed] == [others.device_id], "nobody else lost anything"
    assert await others.beaten()


async def test_after_the_end_of_a_station_its_account_and_the_others_stay(both: Cloud) -> None:
    ada, station = await filled(both)
    second = await both.claimed(ada)
    assert (await ada.send("DELETE", station.place)).status == 204
    left = {"mail address", "name", "token", "browser"}
    assert set(found(both, station.keyid)) == left
    listed = (await ada.send("GET", "/v1/devices")).read(dict[str, Any])["devices"]
    assert [one["id"] for one in listed] == [second.device_id]


async def test_a_wrong_password_deletes_nothing(cloud: Cloud) -> None:
    ada, station = await filled(cloud)
    reply = await ada.send("POST", "/v1/account/delete", {"password": "guess"})
    assert (reply.status, reply.problem.field) == (400, "current")
    assert (await ada.send("GET", station.place)).status == 200


async def test_files_that_a_power_cut_left_over_are_removed_by_the_upkeep(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, station = await filled(cloud)
    files = cloud.app[keys.MEDIA_FILES]
    folder = files.final(station.device_id, "0" * 64).parent.parent

    with monkeypatch.context() as inner:
        inner.setattr(cloud.app[REMOVAL], "finish", _nothing)
        assert (await ada.send("DELETE", station.place)).status == 204
    assert folder.is_dir()
    await cloud.app[REMOVAL].finish()
    assert not folder.exists()
    late = files.part(station.device_id, "upl_late")
    files.append(late, 0, CANARIES["file"])
    cloud.clock.move(removal._AGAIN_MS / 1000)
    await cloud.app[REMOVAL].finish()
    assert not folder.exists(), "an upload that was under way"
    waiting = select(func.count()).select_from(schema.removal)
    assert cloud.database.read_now(lambda c: c.execute(waiting).scalar_one()) == 0


async def _nothing() -> None:
    """In place of what a power cut prevented."""


async def test_deleting_by_pages_asks_for_the_short_id_and_the_password(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    pages = Browsing(cloud.session, cloud.base, ada.headers)
    place = f"/stations/{station.device_id}/delete"
    wrong = await pages.post(place, short_id="BCDFGH" if station.short_id != "BCDFGH" else "BCDFGJ")
    assert (wrong.status, "not the short id" in wrong.text) == (400, True)
    typed = f"{station.short_id[:3]} {station.short_id[3:]}".lower()
    assert (await pages.post(place, short_id=typed)).address == "/"
    assert (await pages.get(f"/stations/{station.device_id}")).status == 404
    wrong = await pages.post("/account/delete", current="guess")
    assert "not your current password" in wrong.text
    assert (await pages.post("/account/delete", current=PASSWORD)).address == "/sign-in"
    assert (await pages.get("/account", follow=False)).status == 303


def test_every_table_is_somebodys_or_known_to_be_nobodys() -> None:
    """A new table must point to a station or an account, or stand here with its reason."""
    nobodys = {
        "account": "deleted by its id",
        "device": "deleted by its id",
        "audit": "outlives both, and names nobody",
        "replay": "deleted by the keys of the station",
        "limit_bucket": "deleted by the ids; network addresses are swept when full again",
        "challenge": "goes with its claim",
        "event_media": "goes with its event",
        "denied_token": "swept when the token would have ended; names nobody",
        "ended_certificate": "goes when the certificate would have ended; names nobody",
        "removal": "swept after the files are gone",
    }
    owned = {table.name for table, _ in (*of_stations(), *of_accounts())}
    assert owned | set(nobodys) == {table.name for table in schema.metadata.sorted_tables}
