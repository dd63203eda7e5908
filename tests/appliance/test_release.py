"""A station whose owner gave it up at the cloud: it shows a new card by itself, and loses nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.ownership import CODE, forget_owner, is_release
from appliance.stages import activating, operational
from appliance.uplink.client import Refused
from protocol.errors import RELEASED, Problem
from statemachine.lifecycle import State, Trigger
from tests.appliance.fakes import FakeCloud, Handler, problem
from tests.appliance.test_claiming_flow import asked_often, claim, live
from tests.appliance.workshop import HOME, station, until

pytestmark = pytest.mark.usefixtures("quick", "asked_often")

__all__ = ["asked_often"]


def gone() -> Handler:
    return problem(403, reason=RELEASED, detail="Its owner has released this station.")


def released(cloud: FakeCloud) -> None:
    """From now on the cloud says what a real one says of a station without an owner."""
    cloud.owned = cloud.person_came = False
    cloud.script("POST", "/heartbeat", *[gone()] * 20)


async def test_a_released_station_goes_back_to_claiming_by_itself_with_a_new_card(
    tmp_path: Path, cloud: FakeCloud
) -> None:
    await claim(tmp_path, cloud)
    async with live(tmp_path, cloud) as one:
        await one.reach(State.OPERATIONAL)
        before = one.made.device.card.current()
        cards = len(cloud.cards)
        released(cloud)
        one.made.device.heartbeat.kick()
        await one.reach(State.NETWORK_READY)
        await until(lambda: len(cloud.cards) > cards, 60)
        device = one.made.device
        assert not device.claimed
        assert device.journal.record.device_id is None
        last = device.journal.record.last_error
        assert last is not None and last.code == CODE
        shown = device.card.current()
        assert shown.short_id == before.short_id
        assert shown.pin != before.pin or shown.link_secret != before.link_secret
        assert cloud.cards[-1].pin == shown.pin


async def test_a_released_station_can_be_claimed_anew_without_a_hand_at_it(
    tmp_path: Path, cloud: FakeCloud
) -> None:
    await claim(tmp_path, cloud)
    async with live(tmp_path, cloud) as one:
        await one.reach(State.OPERATIONAL)
        released(cloud)
        one.made.device.heartbeat.kick()
        await one.reach(State.NETWORK_READY)
        cloud._scripts.clear()
        cloud.person_came = True
        await one.reach(State.OPERATIONAL)
        assert one.made.device.claimed


async def test_a_power_cut_in_the_middle_of_a_release_leads_to_the_card_too(
    tmp_path: Path, cloud: FakeCloud
) -> None:
    await claim(tmp_path, cloud)
    async with station(tmp_path, cloud.url) as made:
        made.device.credentials.forget()  # and the power fails here: the record still says that it is claimed
    cloud.owned = cloud.person_came = False
    async with live(tmp_path, cloud) as one:
        await one.reach(State.NETWORK_READY)
        assert not one.made.device.claimed


async def test_a_forged_release_costs_nothing_but_a_moment(tmp_path: Path, cloud: FakeCloud) -> None:
    """The cloud gives a key that still has an owner its credentials again."""
    await claim(tmp_path, cloud)
    async with live(tmp_path, cloud) as one:
        await one.reach(State.OPERATIONAL)
        cloud.script("POST", "/heartbeat", gone())
        one.made.device.heartbeat.kick()
        await one.reach(State.NETWORK_READY)
        await one.reach(State.OPERATIONAL)
        assert one.made.device.claimed


async def test_a_release_before_the_first_heartbeat_ends_the_activation(
    tmp_path: Path, cloud: FakeCloud
) -> None:
    await claim(tmp_path, cloud)
    async with station(tmp_path, cloud.url) as made:
        await made.device.network.start()
        await made.device.network.join(HOME)
        released(cloud)
        cloud.owned = True  # the release comes between the configuration and the heartbeat
        assert await activating.run(made.device) is Trigger.RELEASED
        assert not made.device.claimed
        assert await operational.run(made.device) is Trigger.RELEASED


def test_other_refusals_are_no_release() -> None:
    for status, reason in ((403, "not_active"), (404, "not_found"), (401, RELEASED), (403, None)):
        assert not is_release(Refused(Problem(title="", status=status, reason=reason), None))


async def test_forgetting_twice_changes_nothing_more(tmp_path: Path, cloud: FakeCloud) -> None:
    await claim(tmp_path, cloud)
    async with station(tmp_path, cloud.url) as made:
        await forget_owner(made.device)
        card = made.device.card.current()
        await forget_owner(made.device)
        assert made.device.card.current() == card
