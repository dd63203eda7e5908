"""What waited when the owner gave the station up stays on the station; the next owner never gets it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from appliance.former import REASON, FormerOwners
from appliance.ownership import forget_owner
from buffer.message import Priority, order_of
from buffer.store import Store
from buffer.uplink import Rejected
from tests.appliance.fakes import DEVICE_ID, FakeCloud
from tests.appliance.test_claiming_flow import asked_often, claim
from tests.appliance.uplink_world import Uplink, uplink
from tests.appliance.workshop import station

__all__ = ["asked_often"]

NEXT_ID = "dev_01JZ8Q4W6TNEXTNEXTNEXTNEXT"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Uplink]:
    async with uplink(tmp_path) as made:
        yield made


def now_of(world: Uplink, device_id: str) -> None:
    assert world.credentials is not None
    world.credentials = msgspec.structs.replace(world.credentials, device_id=device_id)


async def test_what_was_recorded_before_the_release_is_set_aside_and_the_rest_is_sent(world: Uplink) -> None:
    ref, _ = await world.file()
    for number, priority in enumerate((Priority.CRITICAL, Priority.HIGH, Priority.LOW)):
        await world.put_event(number, priority)
    await world.put_media(ref)
    await FormerOwners(world.store).left(DEVICE_ID)
    mine = await world.put_event(9, Priority.LOW)
    now_of(world, NEXT_ID)
    outcomes = await world.deliver()
    refused = [message for message, outcome in outcomes if outcome == Rejected(REASON)]
    assert len(refused) == 4
    assert len(outcomes) == 5
    assert b"test:0" not in b"".join(each.body for each in world.cloud.requests)
    assert mine.event_id.encode() in world.cloud.requests[-1].body


async def test_after_a_forged_release_everything_goes_to_its_owner(world: Uplink) -> None:
    await world.put_event()
    await FormerOwners(world.store).left(DEVICE_ID)
    [(_, outcome)] = await world.deliver()
    assert outcome != Rejected(REASON)
    assert len(world.cloud.events) == 1


async def test_a_chain_of_owners_gets_each_their_own(world: Uplink) -> None:
    former = FormerOwners(world.store)
    for number, name in enumerate(("dev_a", "dev_b", "dev_c")):
        await world.put_event(number)
        await former.left(name)
    await world.put_event(3)
    leased = await world.leased()
    assert [await former.has(message.id, "dev_d") for message in leased] == [True, True, True, False]
    assert [await former.has(message.id, "dev_c") for message in leased] == [True, True, False, False]


async def test_the_note_outlives_a_restart_and_later_runs_are_later(tmp_path: Path) -> None:
    path = tmp_path / "buffer.db"
    async with await Store.open(path) as store:
        before = await store.newest()
        await FormerOwners(store).left("dev_a")
    async with await Store.open(path) as store:
        former = FormerOwners(store)
        assert await former.has(before, "dev_b")
        assert not await former.has(before, "dev_a")
        later = await store.newest()
        assert order_of(later) == later > before


async def test_a_dead_message_that_is_tried_again_is_set_aside_again(world: Uplink) -> None:
    await world.put_event()
    await FormerOwners(world.store).left(DEVICE_ID)
    now_of(world, NEXT_ID)
    for _ in range(2):
        [message] = await world.leased()
        [outcome] = await world.delivery.deliver([message])
        assert isinstance(outcome, Rejected)
        await world.store.nack([message.id], retry_in=None, permanent=True, reason=outcome.reason)
        assert await world.store.retry_dead() == 1
    assert world.cloud.requests == []


@pytest.mark.usefixtures("quick", "asked_often")
async def test_the_place_is_noted_before_the_credentials_are_forgotten(
    tmp_path: Path, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut in between is repeated by the next refusal; the other way round it would be lost."""
    await claim(tmp_path, cloud)
    async with station(tmp_path, cloud.url) as made:
        seen: list[str] = []
        left, forget = made.device.former.left, made.device.credentials.forget

        async def note(device_id: str) -> None:
            seen.append(device_id)
            await left(device_id)

        def forgotten() -> None:
            seen.append("forgotten")
            forget()

        monkeypatch.setattr(made.device.former, "left", note)
        monkeypatch.setattr(made.device.credentials, "forget", forgotten)
        await forget_owner(made.device)
        assert seen == [DEVICE_ID, "forgotten"]
