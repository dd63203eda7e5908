"""Registration at the real cloud: tokens, challenges, certificates, heartbeats; beside the bare cryptography.

`python -m bench.registration [--stations N] [--at-once N] [--beats N]`. The cloud is a process of its own on
loopback, with SQLite flushed at every commit; people and stations are this process, so on two cores each has
one. Persons and their sessions are put into the database before it starts, because the cloud lets one person
open ten claims an hour. Half of the stations claim in one message (a token), half by a challenge (a card).
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psutil

from bench.buffer.slices import percentile
from bench.buffer.tables import markdown, number
from bench.registration import floor
from bench.registration.client import Client, Person, Times
from cloud.store import people
from cloud.store.engine import Database
from cloud.store.migrate import upgrade
from cloud.store.people import AccountRow, SessionRow
from protocol.codes import secret_hash, ulid
from scripts.processes import Cloud

CLAIMS_EACH = 4
"""A person may open ten claims an hour and name five stations in five minutes."""
STATIONS_AN_ADDRESS = 40
"""Sixty an hour may show their card from one address. Loopback has plenty of addresses."""
MOST_BEATS = 8
"""A station may send ten at once."""
AIMS_MS = {
    "a token for a person": 100,
    "the answer to a challenge": 200,
    "a configuration": 500,
    "a heartbeat": 100,
}
"""What 95 of 100 may take."""


@dataclass(frozen=True)
class Part:
    """So many of something, in so many seconds, with so many seconds of the cloud's processor."""

    what: str
    count: int
    seconds: float
    processor: float


@dataclass
class Run:
    """Everything that was measured. Floors are operations a second on one core, before and after."""

    times: Times = field(default_factory=Times)
    parts: list[Part] = field(default_factory=list)
    floors: dict[str, tuple[float, float]] = field(default_factory=dict)


@contextmanager
def cloud_with_people(folder: Path, count: int) -> Iterator[tuple[Cloud, list[tuple[str, str]]]]:
    """A running cloud, and the session token of each person with what proves our own pages (CSRF)."""
    cloud = Cloud(folder)
    cloud.data.mkdir(parents=True)
    tokens = [(secrets.token_urlsafe(32), secrets.token_urlsafe(24)) for _ in range(count)]
    database = Database(f"sqlite:///{cloud.data.absolute() / 'cloud.db'}")
    try:
        upgrade(database)
        for index, (token, csrf) in enumerate(tokens):
            _insert(database, index, token, csrf)
    finally:
        database.close()
    try:
        cloud.start()
        yield cloud, tokens
    finally:
        cloud.stop()


def _insert(database: Database, index: int, token: str, csrf: str) -> None:
    now = int(time.time() * 1000)
    account = AccountRow(ulid("acc_", now), f"bench{index}@example.org", "Bench", "no password", now)
    session = SessionRow(
        token_hash=secret_hash(token),
        account_id=account.id,
        csrf=csrf,
        created=now,
        last_seen=now,
        expires=now + 86_400_000,
        user_agent="bench",
        email=account.email,
        name=account.name,
    )
    database.write_now(lambda c: people.insert_account(c, account))
    database.write_now(lambda c: people.insert_session(c, session))


async def measure(folder: Path, stations: int, at_once: int, beats: int, floor_seconds: float = 1.0) -> Run:
    """One whole run with so many stations, so many of them busy at the same time."""
    run = Run()
    before = _floors(floor_seconds)
    with cloud_with_people(folder, -(-stations // CLAIMS_EACH)) as (cloud, tokens):
        await _with_cloud(run, cloud, tokens, stations, at_once, beats)
    after = _floors(floor_seconds)
    run.floors = {name: (before[name], after[name]) for name in before}
    return run


def _floors(seconds: float) -> dict[str, float]:
    return {
        "ECDSA P-256 verified, nothing else": floor.bare_verified(seconds),
        "a signed request parsed and verified": floor.verified(seconds),
        "a certificate built and signed": floor.issued(seconds),
    }


async def _with_cloud(
    run: Run, cloud: Cloud, tokens: Sequence[tuple[str, str]], stations: int, at_once: int, beats: int
) -> None:
    async with AsyncExitStack() as stack:
        sessions = [
            await stack.enter_async_context(_from(f"127.0.0.{index + 2}", at_once))
            for index in range(-(-stations // STATIONS_AN_ADDRESS))
        ]
        base, times = cloud.url(), run.times
        persons = [Person(sessions[0], base, token, csrf) for token, csrf in tokens]
        clients = [Client(sessions[index // STATIONS_AN_ADDRESS], base) for index in range(stations)]
        half = stations // 2
        codes: list[str] = []

        async def token(index: int) -> None:
            codes.append(await times.of("a token for a person", persons[index // CLAIMS_EACH].claim_token()))

        async def by_token(index: int) -> None:
            await clients[index].by_token(codes[index], times)

        async def by_card(index: int) -> None:
            await clients[half + index].by_card(persons[(half + index) // CLAIMS_EACH], times)

        async def fetch(index: int) -> None:
            await clients[index].configuration(times)

        async def beat(index: int) -> None:
            await clients[index % stations].beat(index // stations + 1, times)

        for what, count, work in (
            ("tokens", half, token),
            ("claims in one message", half, by_token),
            ("claims by a challenge, with person and card", stations - half, by_card),
            ("configurations", stations, fetch),
            ("heartbeats", stations * min(beats, MOST_BEATS), beat),
        ):
            run.parts.append(await _part(cloud, what, count, at_once, work))


def _from(address: str, at_once: int) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=at_once, local_addr=(address, 0))
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


async def _part(
    cloud: Cloud, what: str, count: int, at_once: int, work: Callable[[int], Awaitable[None]]
) -> Part:
    assert cloud.process is not None
    process, waiting = psutil.Process(cloud.process.pid), iter(range(count))

    async def worker() -> None:
        for index in waiting:
            await work(index)

    used, began = _processor(process), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
    return Part(what, count, time.perf_counter() - began, _processor(process) - used)


def _processor(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def tables(run: Run) -> list[str]:
    """What was reached, what each request took, and the floors."""
    reached = [
        (
            part.what,
            str(part.count),
            number(part.count / part.seconds),
            number(part.count / part.processor) if part.processor else "–",
        )
        for part in run.parts
    ]
    took = [
        (
            what,
            str(len(seconds)),
            *(number(percentile(seconds, percent) * 1000) for percent in (50, 95)),
            str(AIMS_MS.get(what, "–")),
        )
        for what, seconds in run.times.each.items()
    ]
    floors = [(what, number(before), number(after)) for what, (before, after) in run.floors.items()]
    return [
        *markdown(("part", "number", "a second", "for each second of the cloud's processor"), reached),
        "",
        *markdown(("one request", "number", "p50 ms", "p95 ms", "aim for p95"), took),
        "",
        *markdown(("on one core, a second", "before", "after"), floors),
    ]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stations", type=int, default=1000, help="stations that are claimed (1000)")
    parser.add_argument("--at-once", type=int, default=16, help="so many busy at the same time (16)")
    parser.add_argument("--beats", type=int, default=4, help="heartbeats of each station (4)")
    arguments, _ = parser.parse_known_args()
    folder = Path(tempfile.mkdtemp(prefix="met-"))
    try:
        run = asyncio.run(measure(folder, arguments.stations, arguments.at_once, arguments.beats))
        print("\n".join(tables(run)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
