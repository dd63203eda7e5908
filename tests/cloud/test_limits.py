"""Limits: they survive a restart, are charged to the guesser, shut hammerers out, and know how to fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from cloud import keys
from cloud.errors import StoreError
from cloud.security import audit
from cloud.security.limit_store import BLOCK_MS, STRIKES, LimitStore
from cloud.security.limits import IN_MEMORY, Limits
from cloud.security.vault import Secrets
from cloud.store import schema
from cloud.store.engine import Database
from cloud.store.migrate import upgrade
from protocol.errors import Refusal
from protocol.limits import USER_CODE_ATTEMPTS, Rate
from tests.cloud.cloud_server import Cloud, running_cloud
from tests.cloud.people_parts import Clock

RATE = Rate(5, 300, 5)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    upgrade(opened)
    try:
        yield opened
    finally:
        opened.close()


def limits(database: Database, clock: Clock) -> Limits:
    return Limits(clock.monotonic, LimitStore(database, clock))


async def granted(parts: Limits, purpose: str, key: str, times: int, rate: Rate = RATE) -> int:
    """How many of so many tries were granted."""
    count = 0
    for _ in range(times):
        try:
            await parts.take(purpose, key, rate)
            count += 1
        except Refusal as refusal:
            assert refusal.code == "REG-006"
            assert refusal.retry_after
    return count


def stored(database: Database) -> int:
    rows = select(func.count()).select_from(schema.limit_bucket)
    return database.read_now(lambda c: c.execute(rows).scalar_one())


# --- what survives ------------------------------------------------------------------------------------------


async def test_tries_that_were_used_up_stay_used_up_after_a_kill(database: Database) -> None:
    clock = Clock()
    assert await granted(limits(database, clock), "codes", "usr_a", 3) == 3
    assert await granted(limits(database, clock), "codes", "usr_a", 9) == 2, "a new process"
    clock.move(60)
    assert await granted(limits(database, clock), "codes", "usr_a", 9) == 1


async def test_one_callers_tries_are_not_anothers(database: Database) -> None:
    parts = limits(database, Clock())
    assert await granted(parts, "codes", "usr_a", 9) == 5
    assert await granted(parts, "codes", "usr_b", 5) == 5
    assert await granted(parts, "claims", "usr_a", 5) == 5


async def test_a_clock_that_is_set_back_gives_no_new_tries(database: Database) -> None:
    clock = Clock()
    parts = limits(database, clock)
    assert await granted(parts, "sign-in", "203.0.113.1", 6) == 5
    clock.move(-86400)
    assert await granted(parts, "sign-in", "203.0.113.1", 3) == 0
    clock.move(60)
    assert await granted(parts, "sign-in", "203.0.113.1", 3) == 1, "and locks nobody out for the day"


async def test_a_busy_stations_count_survives_an_orderly_restart(database: Database) -> None:
    clock = Clock()
    parts = limits(database, clock)
    assert await granted(parts, "data", "dev_a", 4) == 4
    await parts.keep()
    again = limits(database, clock)
    await again.load()
    assert await granted(again, "data", "dev_a", 9) == 1
    clock.move(120)
    later = limits(database, clock)
    await later.load()
    assert await granted(later, "data", "dev_a", 9) == 3, "what was saved refills while nobody runs"


async def test_a_fleet_that_beats_as_it_should_costs_no_write(database: Database) -> None:
    clock = Clock()
    parts, rate = limits(database, clock), Rate(120, 3600, 10)
    for _ in range(5):
        for station in range(50):
            await parts.take("heartbeat", f"dev_{station}", rate)
        clock.move(60)
        await parts.keep()
    assert stored(database) == 0


async def test_what_is_full_again_is_swept(database: Database) -> None:
    clock = Clock()
    parts, store = limits(database, clock), LimitStore(database, clock)
    await granted(parts, "codes", "usr_a", 7)
    await store.sweep()
    assert stored(database) == 1
    clock.move(BLOCK_MS / 1000 + 1)
    await store.sweep()
    assert stored(database) == 0


# --- abuse --------------------------------------------------------------------------------------------------


async def test_who_hammers_on_against_registration_is_shut_out_for_an_hour(database: Database) -> None:
    clock = Clock()
    parts = limits(database, clock)
    assert await granted(parts, "claims", "usr_a", 5 + STRIKES) == 5
    clock.move(BLOCK_MS / 1000 - 5)
    with pytest.raises(Refusal) as refused:
        await limits(database, clock).take("claims", "usr_a", RATE)
    assert refused.value.retry_after == 5
    clock.move(5)
    assert await granted(parts, "claims", "usr_a", 1) == 1
    assert (parts.violations["claims"], parts.blocked["claims"]) == (STRIKES, 1)
    rows = database.read_now(lambda c: c.execute(select(schema.audit)).all())
    assert [(row.actor, row.action, row.subject) for row in rows] == [("person:usr_a", "blocked", "usr_a")]
    assert database.read_now(audit.first_broken) is None


async def test_refused_tries_that_are_hours_apart_shut_nobody_out(database: Database) -> None:
    clock = Clock()
    parts = limits(database, clock)
    for _ in range(STRIKES):
        await granted(parts, "claims", "usr_a", 6, Rate(5, 36000, 5))
        clock.move(3601)
    assert parts.blocked["claims"] == 0


async def test_signing_in_is_slowed_and_never_closed_for_an_hour(database: Database) -> None:
    clock = Clock()
    parts = limits(database, clock)
    await granted(parts, "sign-in", "203.0.113.1", 50)
    clock.move(60)
    assert await granted(parts, "sign-in", "203.0.113.1", 1) == 1


# --- when the store fails -----------------------------------------------------------------------------------


class Broken(LimitStore):
    """A store of limits that is out of order."""

    async def charge(self, *_: Any) -> Any:
        raise StoreError("The store failed.")

    async def load(self, *_: Any) -> Any:
        raise StoreError("The store failed.")

    async def keep(self, *_: Any) -> None:
        raise StoreError("The store failed.")


@pytest.mark.parametrize("purpose", ["claims", "codes", "card", "sign-in", "anything new"])
async def test_without_the_store_claims_codes_and_sign_ins_are_refused(
    database: Database, purpose: str
) -> None:
    parts = Limits(store=Broken(database, Clock()))
    with pytest.raises(Refusal) as refused:
        await parts.take(purpose, "x", RATE)
    assert (refused.value.code, refused.value.status, refused.value.retry_after) == ("REG-009", 503, 30)


@pytest.mark.parametrize("purpose", sorted(IN_MEMORY))
async def test_without_the_store_stations_go_on_and_are_still_counted(
    database: Database, purpose: str
) -> None:
    parts = Limits(store=Broken(database, Clock()))
    await parts.load()
    assert await granted(parts, purpose, "dev_a", 9) == 5


async def test_a_cloud_whose_limits_fail_takes_heartbeats_and_no_claims(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    monkeypatch.setattr(cloud.app[keys.LIMITS], "_store", Broken(cloud.database, cloud.clock))
    assert (await station.beat()).status == 200
    reply = await ada.send("POST", "/v1/devices/claim-token", {})
    assert (reply.status, reply.problem.code, reply.reason) == (503, "REG-009", "limits_unavailable")
    assert reply.headers["Retry-After"] == "30"


# --- over HTTP ----------------------------------------------------------------------------------------------


async def test_a_guessers_budget_is_gone_after_a_restart_too_and_the_victims_is_not(
    tmp_path: Path, secrets: Secrets, moved_clock: Clock
) -> None:
    async with running_cloud(tmp_path / "c", secrets, moved_clock) as first:
        eve, ada = await first.person("eve@example.org"), await first.person("ada@example.org")
        for _ in range(USER_CODE_ATTEMPTS.burst):
            assert (await eve.initiate(short_id="BCDFGH", pin="111111")).status == 200
        headers = {"eve": eve.headers, "ada": ada.headers}
    async with running_cloud(tmp_path / "c", secrets, moved_clock) as second:
        base = {"Origin": second.base}
        eve.session = ada.session = second.session
        eve.base = ada.base = second.base
        eve.headers, ada.headers = headers["eve"] | base, headers["ada"] | base  # type: ignore[operator]
        refused = await eve.initiate(short_id="BCDFGH", pin="222222")
        assert (refused.status, refused.problem.code) == (429, "REG-006")
        assert int(refused.headers["Retry-After"]) == refused.problem.retry_after
        assert (await ada.initiate(short_id="BCDFGH", pin="222222")).status == 200


async def test_violations_are_figures_for_administrators(cloud: Cloud) -> None:
    ada = await cloud.person()
    for _ in range(USER_CODE_ATTEMPTS.burst + 2):
        await ada.initiate(short_id="BCDFGH", pin="111111")
    mine = schema.account.c.id == ada.account_id
    await cloud.database.write(
        lambda c: c.execute(update(schema.account).where(mine).values(administrator=True)).close()
    )
    reply = await ada.send("GET", "/v1/metrics")
    assert reply.headers["Content-Type"].startswith("application/openmetrics-text")
    assert 'meteor_cloud_rate_limited_total{purpose="codes"} 2\n' in reply.body.decode()
    assert reply.body.endswith(b"# EOF\n")
