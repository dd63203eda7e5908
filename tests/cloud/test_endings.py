"""What outlives a station's rows, and what of a station does not grow for ever, on either database."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from alembic import command
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import func, select, text

from cloud import keys
from cloud.fleet import boots
from cloud.registry import crl
from cloud.security.vault import Secrets
from cloud.store import migrate, schema
from cloud.store.engine import Database
from tests.cloud.cloud_server import Cloud, running_cloud
from tests.cloud.people_parts import PASSWORD, Clock
from tests.cloud.test_restated import clock, restated, sent
from tests.cloud.test_revocation import DAY, crl_of, renew, revoke, serials


def kept(cloud: Cloud) -> int:
    count = select(func.count()).select_from(schema.ended_certificate)
    return cloud.database.read_now(lambda c: int(c.execute(count).scalar_one()))


async def test_a_deleted_stations_certificates_stay_on_the_list_until_they_would_have_ended(
    tmp_path: Path, secrets: Secrets, moved_clock: Clock, database_url: str
) -> None:
    async with running_cloud(tmp_path / "cloud", secrets, moved_clock, database_url) as cloud:
        ada = await cloud.person()
        station, shut_out, neighbour = [await cloud.claimed(ada) for _ in range(3)]
        other = ec.generate_private_key(ec.SECP256R1())
        await renew(station, other)
        await revoke(ada, shut_out, reason="key_compromise")
        with cloud.database.engine.connect() as connection:
            rows = connection.execute(select(schema.certificate)).all()
        gone = {row.serial for row in rows if row.device_id != neighbour.device_id}
        assert len(gone) == 3, "the key that waits for its first use has one too"
        for each in (station, shut_out):
            assert (await ada.send("DELETE", each.place)).status == 204
        assert serials(await crl_of(cloud)) == gone
        await cloud.app[keys.CRL].refresh()
        assert serials(cloud.settings.crl.read_bytes()) == gone, "the file for brokers"
        cloud.clock.move(92 * DAY)
        await cloud.app[keys.CRL].refresh()
        assert kept(cloud) == 0
        assert serials(await crl_of(cloud)) == set()


async def test_the_end_of_an_account_ends_its_stations_certificates_for_brokers(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    own = select(schema.certificate.c.serial).where(schema.certificate.c.device_id == station.device_id)
    serial = cloud.database.read_now(lambda c: str(c.execute(own).scalar_one()))
    assert (await ada.send("POST", "/v1/account/delete", {"password": PASSWORD})).status == 204
    assert serials(await crl_of(cloud)) == {serial}


async def test_a_certificate_that_ended_by_itself_is_not_kept(cloud: Cloud) -> None:
    station = await cloud.claimed(await cloud.person())
    cloud.clock.move(92 * DAY)
    now = cloud.clock.now_ms
    await cloud.database.write(lambda c: crl.outlive(c, station.device_id, now))
    assert kept(cloud) == 0


@pytest.fixture
def old(database_url: str) -> Database:
    """A database with a person, as the version before left it."""
    opened = Database(database_url)
    with opened.engine.begin() as connection:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        names, values = "id, email, name, password_hash, created", "'ada', 'ada@x', 'ada', '-', 0"
        connection.execute(text(f"INSERT INTO account ({names}) VALUES ({values})"))
    return opened


def test_a_database_of_the_version_before_is_upgraded_with_what_is_in_it(old: Database) -> None:
    migrate.upgrade(old)
    assert migrate.current(old) == migrate.newest()
    with old.engine.connect() as connection:
        assert connection.execute(select(schema.account.c.id)).scalars().all() == ["ada"]
        assert connection.execute(select(schema.ended_certificate)).all() == []
    old.close()


async def test_the_boots_of_a_station_are_bounded_and_those_of_an_event_stay(
    tmp_path: Path, secrets: Secrets, moved_clock: Clock, database_url: str
) -> None:
    async with running_cloud(tmp_path / "cloud", secrets, moved_clock, database_url) as cloud:
        ada = await cloud.person()
        station, other = await cloud.claimed(ada), await cloud.claimed(ada)
        event_id = await sent(station, 1000, boot_id="needed")
        began = cloud.clock.now_ms
        for each, boot_id in ((station, "needed"), (station, "old"), (other, "neighbour's")):
            await each.beaten(boot_id=boot_id, clock=clock(0))
        for number in range(boots.KEPT + 20):
            cloud.clock.move(60)
            now = cloud.clock.now_ms
            note = partial(
                boots.note, device_id=station.device_id, boot_id=f"b{number}", mono_ms=0, now_ms=now
            )
            await cloud.database.write(note)
        with cloud.database.engine.connect() as connection:
            rows = connection.execute(select(schema.boot)).all()
        mine = {row.boot_id for row in rows if row.device_id == station.device_id}
        assert len(mine) == boots.KEPT + 1
        assert {"needed", f"b{boots.KEPT + 19}"} < mine
        assert "old" not in mine
        assert {row.boot_id for row in rows} - mine == {"neighbour's"}
        assert await restated(ada, station) == {event_id: began + 1000}
