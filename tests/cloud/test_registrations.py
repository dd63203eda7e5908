"""The queue of registrations: nothing is lost, what fails is tried again, what keeps failing lies aside."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from cloud import keys
from cloud.registry import queue
from cloud.registry.queue import INITIATED, REGISTERED, RegistrationQueue
from cloud.store import schema
from cloud.store.engine import Database
from cloud.store.migrate import upgrade
from protocol.errors import Refusal
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.people_parts import Clock


class Failing:
    """A handler that fails so often."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.done: list[str] = []

    async def __call__(self, claim_id: str) -> None:
        if self.times > 0:
            self.times -= 1
            raise ConnectionError("mail server away")
        self.done.append(claim_id)


@pytest.fixture
def database(database_url: str) -> Any:
    opened = Database(database_url)
    upgrade(opened)
    ada = {"id": "ada", "email": "ada@x", "name": "ada", "password_hash": "-", "created": 0}
    opened.write_now(lambda c: c.execute(schema.account.insert().values(**ada)).close())
    yield opened
    opened.close()


async def put(database: Database, clock: Clock, claim_id: str = "clm_1", account: str = "ada") -> None:
    await database.write(lambda c: queue.put(c, INITIATED, claim_id, account, clock.now_ms))


async def states(database: Database) -> list[tuple[str, int]]:
    rows = await database.read(lambda c: c.execute(select(schema.registration)).all())
    return [(row.state, row.attempts) for row in rows]


async def test_a_message_that_fails_is_tried_again_with_growing_pauses(database: Database) -> None:
    clock, handler = Clock(), Failing(2)
    worker = RegistrationQueue(database, handler, clock)
    await put(database, clock)
    assert await worker.work() == 1
    assert await worker.work() == 0, "not before its time"
    clock.move(2)
    assert await worker.work() == 1
    clock.move(2)
    assert await worker.work() == 0
    clock.move(2)
    assert await worker.work() == 1
    assert handler.done == ["clm_1"]
    assert await states(database) == [("done", 3)]


async def test_the_fifth_failure_lays_it_aside_and_a_hand_puts_it_back(database: Database) -> None:
    clock, handler = Clock(), Failing(5)
    worker = RegistrationQueue(database, handler, clock)
    await put(database, clock)
    for _ in range(10):
        await worker.work()
        clock.move(60)
    assert await states(database) == [("dead", 5)]
    (told,) = (await worker.of("ada")).registrations
    assert (told.code, told.error) == ("REG-010", "ConnectionError: mail server away")
    assert (await worker.of("eve")).registrations == []
    with pytest.raises(Refusal) as refused:
        await worker.retry("eve", told.id)
    assert refused.value.status == 404
    assert (await worker.retry("ada", told.id)).state == "queued"
    await worker.work()
    assert await states(database) == [("done", 1)]
    with pytest.raises(Refusal):
        await worker.retry("ada", told.id)


async def test_what_a_consumer_died_over_comes_back_after_its_lease(database: Database) -> None:
    clock, handler = Clock(), Failing(0)
    await put(database, clock)
    await database.write(lambda c: queue._lease(c, clock.now_ms))  # and the process dies here
    worker = RegistrationQueue(database, handler, clock)
    clock.move(299)
    assert await worker.work() == 0
    clock.move(2)
    assert await worker.work() == 1
    assert handler.done == ["clm_1"]


async def test_one_poisonous_message_does_not_end_the_others(database: Database) -> None:
    clock, handler = Clock(), Failing(1)
    for number in range(5):
        await put(database, clock, f"clm_{number}")
    await RegistrationQueue(database, handler, clock).work()
    assert len(handler.done) == 4


async def test_a_message_stands_exactly_when_its_claim_does(database: Database) -> None:
    clock = Clock()

    def broken(connection: Any) -> None:
        queue.put(connection, INITIATED, "clm_1", "ada", clock.now_ms)
        raise RuntimeError("the power fails")

    with pytest.raises(RuntimeError):
        await database.write(broken)
    assert await states(database) == []


async def test_a_full_queue_refuses_with_reg_010(database: Database) -> None:
    clock = Clock()
    await put(database, clock)
    with pytest.raises(Refusal) as refused:
        await database.write(lambda c: queue.put(c, INITIATED, "clm_2", "ada", clock.now_ms, most=1))
    assert (refused.value.code, refused.value.status) == ("REG-010", 503)


async def test_old_messages_are_forgotten_after_two_weeks(database: Database) -> None:
    clock = Clock()
    worker = RegistrationQueue(database, Failing(0), clock)
    await put(database, clock)
    await worker.work()
    clock.move(14 * 86_400 - 1)
    await worker.sweep()
    assert len(await states(database)) == 1
    clock.move(2)
    await worker.sweep()
    assert await states(database) == []


# --- in the cloud -------------------------------------------------------------------------------------------


async def own(person: Person) -> list[dict[str, Any]]:
    reply = await person.send("GET", "/v1/devices/registrations")
    found: list[dict[str, Any]] = reply.read(dict[str, Any])["registrations"]
    return found


async def test_a_registration_goes_through_the_queue_and_its_person_sees_it(cloud: Cloud) -> None:
    ada, eve = await cloud.person(), await cloud.person()
    station = cloud.station()
    claim_id = await station.wait_on_card()
    await ada.named(short_id=station.short_id, pin=station.pin)
    await station.finish(claim_id)
    await cloud.app[keys.QUEUE].work()
    found = await own(ada)
    assert {(each["type"], each["claim_id"]) for each in found} == {
        (INITIATED, claim_id),
        (REGISTERED, claim_id),
    }
    assert await own(eve) == []


async def test_a_dead_registration_is_driven_again_over_the_interface(cloud: Cloud) -> None:
    ada = await cloud.person()
    worker, honest = cloud.app[keys.QUEUE], cloud.app[keys.QUEUE].handler
    worker.handler = Failing(100)
    await ada.token()
    for _ in range(12):
        await worker.work()
        cloud.clock.move(60)
    (dead,) = await own(ada)
    assert (dead["state"], dead["code"]) == ("dead", "REG-010")
    worker.handler = honest
    reply = await ada.send("POST", f"/v1/devices/registrations/{dead['id']}/retry")
    assert reply.status == 200
    await worker.work()
    assert (await own(ada))[0]["state"] in ("done", "leased")


async def test_the_cloud_without_room_in_its_queue_says_reg_010(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await cloud.person()
    monkeypatch.setattr(queue.put, "__defaults__", (0,))
    reply = await ada.send("POST", "/v1/devices/claim-token", {})
    assert (reply.status, reply.problem.code) == (503, "REG-010")
    assert reply.headers["Retry-After"]
