"""Thousands of stations register at a real cloud, with a fault in every tenth request and the cloud killed
again and again: none is lost, none is doubled.

`REGISTRATIONS` sets how many; with 3,000 and no failure, 99.9 % succeed with a confidence of 95 %.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from cloud.app import unix_ms
from cloud.realtime.bus import Bus
from cloud.security import audit
from cloud.security.accounts import Accounts
from cloud.security.limits import Limits
from cloud.security.passwords import Passwords
from cloud.security.sessions import Sessions
from cloud.store.engine import Database
from cloud.store.migrate import upgrade
from tests.cloud.cloud_process import CloudProcess, until_it_answers
from tests.cloud.people_parts import CHEAP, PASSWORD
from tests.registration.clients import Device, Line, Mode, Owner, name, post
from tests.registration.faults import Dice, Fault

REGISTRATIONS = int(os.environ.get("REGISTRATIONS", "60"))
SEED = int(os.environ.get("REGISTRATION_SEED", "20260101"))
AT_ONCE = 12
KILL_EVERY = max(15, min(250, REGISTRATIONS // 4))
"""Registrations between two kills of the cloud."""
MODES: tuple[Mode, ...] = ("token", "list", "card")
PATIENCE_S = 600 + REGISTRATIONS


async def owners(folder: Path, count: int) -> list[Owner]:
    """Accounts with open sessions, made before the cloud starts."""
    folder.mkdir(parents=True)
    database = Database(f"sqlite:///{folder / 'cloud.db'}")
    try:
        await asyncio.to_thread(upgrade, database)
        accounts = Accounts(database, Passwords(CHEAP), Limits(), unix_ms)
        sessions = Sessions(database, Bus(), unix_ms)
        found = []
        for number in range(count):
            account = await accounts.create(f"owner{number}@example.org", PASSWORD)
            cookie = await sessions.open(account, "tests")
            person = await sessions.find(cookie)
            assert person is not None
            found.append(Owner(account.id, cookie, person.csrf))
        return found
    finally:
        database.close()


class World:
    """The cloud, everybody's devices, and the count of what is done."""

    def __init__(self, process: CloudProcess, session: aiohttp.ClientSession, people: list[Owner]) -> None:
        self.process, self.session, self.people = process, session, people
        self.dice = Dice(SEED)
        self.random = random.Random(SEED)
        self.devices: list[Device] = []
        self.done = self.kills = 0

    def build(self) -> None:
        line = Line(self.session, self.process.base, self.dice)
        self.devices = [Device(line, number, MODES[number % 3]) for number in range(REGISTRATIONS)]

    def owner_of(self, device: Device) -> Owner:
        """The first person has all lists and batches, the others one card each."""
        return self.people[1 + device.number // 3] if device.mode == "card" else self.people[0]

    async def prepare(self) -> None:
        """A token for every third station, a place on a list for every other third."""
        for mode, path in (("token", "/v1/devices/batches"), ("list", "/v1/devices/preauthorize")):
            chosen = [device for device in self.devices if device.mode == mode]
            for start in range(0, len(chosen), 400):
                part = chosen[start : start + 400]
                rows = [{"keyid": one.keyid} if mode == "list" else {} for one in part]
                answer = await post(self.session, self.process.base, self.people[0], path, {"stations": rows})
                for device, row in zip(part, answer["stations"], strict=True):
                    device.token = row.get("claim_token", "")

    async def run(self) -> None:
        """Everybody registers, a few at a time; the cloud dies in between."""
        turns = asyncio.Semaphore(AT_ONCE)
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            killer = group.create_task(self._kill_now_and_then())
            tasks = [group.create_task(self._one(device, turns)) for device in self.devices]
            await asyncio.wait(tasks)
            killer.cancel()

    async def _one(self, device: Device, turns: asyncio.Semaphore) -> None:
        async with turns:
            if device.mode == "card":
                await self._with_person(device)
            else:
                await device.register()
            self.done += 1

    async def _with_person(self, device: Device) -> None:
        line, owner = device.line, self.owner_of(device)
        if self.random.random() < 0.5:
            await name(line, owner, device)
            await device.register()
            return
        async with asyncio.TaskGroup() as both:
            both.create_task(device.register())
            await asyncio.sleep(self.random.uniform(0, 0.3))
            both.create_task(name(line, owner, device))

    async def _kill_now_and_then(self) -> None:
        while True:
            target = KILL_EVERY * (self.kills + 1)
            while self.done < target:  # noqa: ASYNC110 - `done` has no event
                await asyncio.sleep(0.02)
            if self.done + AT_ONCE >= REGISTRATIONS:
                return
            await asyncio.to_thread(self.process.kill)
            await asyncio.to_thread(self.process.start)
            self.kills += 1


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    folder = tmp_path / "cloud"
    people = await owners(folder, 2 + REGISTRATIONS // 3)
    environment = {"METEOR_CLOUD_TRUST_FORWARDED": "true", "METEOR_CLOUD_POLL_INTERVAL": "1"}
    process = CloudProcess(folder, environment=environment)
    await asyncio.to_thread(process.start)
    timeout = aiohttp.ClientTimeout(total=60)
    connector = aiohttp.TCPConnector(limit=4 * AT_ONCE)
    try:
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            made = World(process, session, people)
            made.build()
            yield made
    finally:
        process.stop()


def rows(world: World, query: str) -> list[Any]:
    with closing(sqlite3.connect(world.process.folder / "cloud.db")) as connection:
        return connection.execute(query).fetchall()


async def drained(world: World) -> None:
    """Until nothing waits in the queue. What a killed cloud held stays leased for its five minutes."""
    until = time.monotonic() + 120
    while rows(world, "SELECT 1 FROM registration WHERE state = 'queued' LIMIT 1"):
        assert time.monotonic() < until
        await asyncio.sleep(0.5)
    assert {state for (state,) in rows(world, "SELECT DISTINCT state FROM registration")} <= {
        "done",
        "leased",
    }


@pytest.mark.timeout(PATIENCE_S + 300)
async def test_no_registration_is_lost_and_none_is_doubled(world: World) -> None:
    await world.prepare()
    began = time.monotonic()
    await world.run()
    took = time.monotonic() - began
    await until_it_answers(world.session, world.process.base)
    judge(world)
    await drained(world)
    report(world, took)


def judge(world: World) -> None:
    """What the stations believe and what the cloud has are the same, one to one."""
    stored = {
        keyid: (device, account)
        for keyid, device, account in rows(
            world,
            "SELECT k.keyid, k.device_id, d.account_id FROM device_key k JOIN device d ON d.id = k.device_id",
        )
    }
    believed = {device.keyid: device for device in world.devices}
    assert set(stored) == set(believed), "lost or invented"
    for keyid, device in believed.items():
        assert stored[keyid] == (device.device_id, world.owner_of(device).account_id)
    assert len({device.device_id for device in world.devices}) == REGISTRATIONS
    for table, what in (("device", "id"), ("certificate", "device_id")):
        count = rows(world, f"SELECT count(*), count(DISTINCT {what}) FROM {table}")[0]
        assert count == (REGISTRATIONS, REGISTRATIONS), table
    doubled = "SELECT keyid FROM claim WHERE status = 'success' GROUP BY keyid HAVING count(*) > 1"
    assert rows(world, doubled) == []
    silent = rows(world, "SELECT id FROM device WHERE last_seen_ms IS NULL")
    assert silent == []
    database = Database(f"sqlite:///{world.process.folder / 'cloud.db'}")
    try:
        assert database.read_now(audit.first_broken) is None
    finally:
        database.close()
    assert "Traceback" not in world.process.log.read_text()


def report(world: World, took: float) -> None:
    """What was thrown at it; and that enough was."""
    dice = world.dice
    faults = ", ".join(f"{fault.name.lower()} {dice.thrown[fault]}" for fault in Fault)
    print(
        f"\n{REGISTRATIONS} registrations in {took:.0f} s, {dice.requests} requests, seed {SEED}: {faults}; "
        f"{world.kills} kills of the cloud; none lost, none doubled"
    )
    assert 0.05 < sum(dice.thrown.values()) / dice.requests < 0.2
    assert world.kills >= 1
