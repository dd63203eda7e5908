"""The real process: killed in the middle of a claim, of events and of an upload, and stopped in order."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from protocol.messages import ClaimPending, ValidateAnswer
from tests.cloud import people_client
from tests.cloud.cloud_process import CloudProcess
from tests.cloud.cloud_server import Person
from tests.cloud.station_client import Reply, Station

pytestmark = pytest.mark.e2e

FLAGS = ("--log-level", "warning")
QUICK = {"METEOR_CLOUD_POLL_INTERVAL": "1"}


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[CloudProcess]:
    running = CloudProcess(tmp_path / "cloud", *FLAGS, environment=QUICK)
    await asyncio.to_thread(running.start)
    try:
        yield running
    finally:
        await asyncio.to_thread(running.kill)


async def owner(process: CloudProcess, session: aiohttp.ClientSession) -> Person:
    email, password = process.demo()
    csrf = await people_client.sign_in(session, process.base, email, password)
    return Person("", process.base, session, {"X-CSRF-Token": csrf, "Origin": process.base})


async def cut(process: CloudProcess, send: Callable[[], Awaitable[Reply]], delay: float) -> Reply | None:
    """Sends, kills the cloud after `delay` seconds, starts it again. The answer, if there was one."""
    sending = asyncio.ensure_future(send())
    await asyncio.sleep(delay)
    process.kill()
    try:
        reply: Reply | None = await sending
    except aiohttp.ClientError:
        reply = None
    await asyncio.to_thread(process.start)
    return reply


def counted(process: CloudProcess, query: str) -> Any:
    with sqlite3.connect(process.folder / "cloud.db") as connection:
        return connection.execute(query).fetchone()[0]


async def test_a_claim_survives_the_death_of_the_cloud_at_every_step(
    process: CloudProcess, session: aiohttp.ClientSession
) -> None:
    ada, dice = await owner(process, session), random.Random(3)
    station = Station(session, process.base, time.time)
    steps = 0

    async def insisted(send: Callable[[], Awaitable[Reply]], *wanted: int) -> Reply:
        """The same request again and again, as station and person do, with a death in the first two."""
        nonlocal steps
        for attempt in range(6):
            if attempt < 2:
                reply = await cut(process, send, dice.uniform(0, 0.012))
                steps += 1
            else:
                reply = await send()
            if reply is not None and reply.status in wanted and attempt >= 2:
                return reply
        raise AssertionError(f"no answer: {reply}")

    card = await insisted(station.claim_with_card, 202)
    claim_id = card.read(ClaimPending).claim_id
    named = await insisted(lambda: ada.initiate(short_id=station.short_id, pin=station.pin), 200)
    assert named.read(dict[str, Any])["claim_id"] == claim_id
    challenge = (await insisted(lambda: station.validate(claim_id), 200)).read(ValidateAnswer)
    done = await insisted(lambda: station.confirm(challenge), 201, 200)
    complete = station.take(done)
    assert (await station.beat()).status == 200
    assert steps == 8
    assert counted(process, "SELECT count(*) FROM device") == 1
    assert counted(process, "SELECT count(*) FROM certificate") == 1
    assert counted(process, "SELECT count(*) FROM claim") == 1
    assert counted(process, "SELECT id FROM device") == complete.device_id
    assert "Traceback" not in process.log.read_text()


async def test_events_are_neither_lost_nor_doubled_by_deaths_of_the_cloud(
    process: CloudProcess, session: aiohttp.ClientSession
) -> None:
    ada = await owner(process, session)
    station = Station(session, process.base, time.time)
    station.take(await station.claim_with_token((await ada.token())["claim_token"]))
    events = [station.event() for _ in range(60)]
    waiting, acknowledged, dice = list(events), set(), random.Random(5)

    async def drain() -> None:
        while waiting:
            reply = await station.report(waiting[0])
            assert reply.status in (200, 201), reply
            acknowledged.add(waiting.pop(0).event_id)

    for _ in range(4):
        sending = asyncio.ensure_future(drain())
        await asyncio.sleep(dice.uniform(0.02, 0.1))
        process.kill()
        await asyncio.gather(sending, return_exceptions=True)
        await asyncio.to_thread(process.start)
        stored = counted(process, "SELECT group_concat(event_id) FROM event") or ""
        assert acknowledged <= set(stored.split(",")), "what was acknowledged is there after the kill"
    await drain()
    assert counted(process, "SELECT count(*) FROM event") == len(events)
    assert "Traceback" not in process.log.read_text()


async def test_an_upload_goes_on_where_it_was_acknowledged(
    process: CloudProcess, session: aiohttp.ClientSession
) -> None:
    ada, dice = await owner(process, session), random.Random(11)
    station = Station(session, process.base, time.time)
    station.take(await station.claim_with_token((await ada.token())["claim_token"]))
    file = os.urandom(6_000_000)
    await station.reported(station.event(file))
    location = (await station.create_upload(file)).headers["Location"]
    safe = 0

    async def send_all() -> None:
        nonlocal safe
        offset = await station.offset(location)
        assert offset >= safe, "an acknowledged byte was lost"
        while offset < len(file):
            reply = await station.patch(location, offset, file[offset : offset + 100_000])
            assert reply.status == 204, reply
            offset = safe = int(reply.headers["Upload-Offset"])

    kills = 0
    while safe < len(file) and kills < 6:
        sending = asyncio.ensure_future(send_all())
        await asyncio.sleep(dice.uniform(0.02, 0.12))
        process.kill()
        kills += 1
        (outcome,) = await asyncio.gather(sending, return_exceptions=True)
        assert outcome is None or isinstance(outcome, aiohttp.ClientError), outcome
        await asyncio.to_thread(process.start)
    await send_all()
    sha256 = hashlib.sha256(file).hexdigest()
    reply = await ada.send("GET", f"{station.place}/media/{sha256}")
    assert hashlib.sha256(reply.body).hexdigest() == sha256
    assert counted(process, "SELECT count(*) FROM media") == 1
    assert kills >= 2
    assert "Traceback" not in process.log.read_text()


async def test_sigterm_lets_a_running_request_finish(
    process: CloudProcess, session: aiohttp.ClientSession
) -> None:
    ada = await owner(process, session)
    station = Station(session, process.base, time.time)
    station.take(await station.claim_with_token((await ada.token())["claim_token"]))
    file = os.urandom(4_000_000)
    await station.reported(station.event(file))
    location = (await station.create_upload(file)).headers["Location"]
    sending = asyncio.ensure_future(station.patch(location, 0, file))
    await asyncio.sleep(0.02)
    code = await asyncio.to_thread(process.stop)
    assert code == 0
    assert (await sending).status == 204
    assert "Traceback" not in process.log.read_text()


async def test_a_second_start_keeps_account_keys_and_data(
    process: CloudProcess, session: aiohttp.ClientSession
) -> None:
    account = process.demo()
    await owner(process, session)
    before = sorted((path, path.read_bytes()) for path in (process.folder / "secrets").rglob("*.*"))
    await asyncio.to_thread(process.stop)
    await asyncio.to_thread(process.start)
    assert process.demo() == account
    await owner(process, session)
    assert before == sorted((path, path.read_bytes()) for path in (process.folder / "secrets").rglob("*.*"))
