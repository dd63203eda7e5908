"""What the portal asks of the station, checked against the state it is in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.identity.credentials import from_claim
from appliance.network.port import Security
from appliance.station import Station
from portal.view import JoinRequest, Refusal
from statemachine.lifecycle import State
from statemachine.record import decode
from tests.appliance.fakes import FakeCloud
from tests.appliance.workshop import PASSWORD, running, station, until

WISH = JoinRequest(b"Home", PASSWORD)


@pytest.fixture
async def made(tmp_path: Path, cloud: FakeCloud) -> AsyncIterator[Station]:
    async with station(tmp_path, cloud.url) as built:
        await built.device.network.start()
        stand(built, State.SETUP)
        yield built


def stand(made: Station, state: State) -> None:
    """Puts the station into a state without walking there."""
    made.conductor._lifecycle._model.state = state.value


JOINABLE = {State.SETUP, State.CONFIGURING}
CLAIMABLE = {State.SETUP, State.CONFIGURING, State.CONNECTING, State.NETWORK_READY, State.CLAIMING}


@pytest.mark.parametrize("state", list(State))
async def test_a_network_is_taken_only_while_the_station_waits_for_one(made: Station, state: State) -> None:
    stand(made, state)
    if state in JOINABLE:
        joining = asyncio.create_task(made.front.join(WISH))
        await made.device.inbox.wait_credentials()
        assert not joining.done(), "the next page would tell of the try before"
        taken = made.device.inbox.take_credentials()
        await joining
        assert taken is not None
        assert (taken.ssid, taken.passphrase, taken.security) == (b"Home", PASSWORD, Security.WPA2)
    else:
        with pytest.raises(Refusal) as refused:
            await made.front.join(WISH)
        assert refused.value.code == "NET-120"
        assert made.device.inbox.take_credentials() is None


async def test_the_page_after_a_second_choice_never_tells_how_the_first_one_ended(
    tmp_path: Path, cloud: FakeCloud
) -> None:
    async with station(tmp_path, cloud.url) as built, running(built.conductor.run):
        await until(lambda: built.conductor.state is State.SETUP)
        for _ in range(3):
            await built.front.join(JoinRequest(b"Home", "not the password"))
            assert built.front.snapshot().state == "connecting"
            await until(lambda: built.conductor.state in JOINABLE)


async def test_a_choice_that_nobody_takes_up_does_not_hold_the_phone(
    made: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.front.TAKEN_S", 0.01)
    await made.front.join(WISH)
    assert made.device.inbox.has_credentials


@pytest.mark.parametrize("state", list(State))
async def test_a_claim_code_is_kept_only_where_it_can_be_used(
    made: Station, cloud: FakeCloud, state: State, tmp_path: Path
) -> None:
    stand(made, state)
    if state in CLAIMABLE:
        await made.front.use_claim_code(f"  {cloud.token}\n")
        record = decode((tmp_path / "data" / "state" / "record.json").read_bytes())
        assert record.claim_token == cloud.token, "it is durable when the page says so"
        assert await made.device.inbox.wait_claim(0.1) is True
    else:
        with pytest.raises(Refusal, match="CTL-004"):
            await made.front.use_claim_code(cloud.token)
        assert made.device.journal.record.claim_token is None


async def test_a_claimed_station_takes_no_claim_code_in_any_state(made: Station, cloud: FakeCloud) -> None:
    made.device.credentials.keep(from_claim(cloud.complete(), cloud.url))
    for state in State:
        stand(made, state)
        with pytest.raises(Refusal, match="REG-003"):
            await made.front.use_claim_code(cloud.token)


@pytest.mark.parametrize("text", ["", "mct_", "123456", "mct_" + "x" * 42])
async def test_something_that_is_no_claim_code_is_refused_at_its_field(made: Station, text: str) -> None:
    with pytest.raises(Refusal) as refused:
        await made.front.use_claim_code(text)
    assert (refused.value.code, refused.value.field) == ("REG-004", "claim_code")
    if text:
        assert text not in str(refused.value)


async def test_a_new_claim_code_makes_the_old_error_go_away(made: Station, cloud: FakeCloud) -> None:
    await made.device.journal.fail("REG-004", "This claim code is not valid.")
    await made.front.use_claim_code(cloud.token)
    assert made.board.snapshot().warnings == ()


async def test_networks_are_shown_as_they_are_in_the_air(made: Station) -> None:
    [network] = await made.front.networks()
    assert (network.ssid, network.signal, network.security, network.known) == (b"Home", 80, "wpa2", False)


@pytest.mark.parametrize(("step", "joined"), [("probe", False), ("page", True), ("form", True)])
async def test_a_page_means_that_a_person_is_there_and_a_probe_does_not(
    made: Station, step: str, joined: bool
) -> None:
    came: list[bool] = []

    async def watch() -> None:
        await made.device.inbox.wait_client()
        came.append(True)

    async with running(watch):
        await asyncio.sleep(0.02)
        await made.front.client_seen("192.0.2.7", step)
        if joined:
            await until(lambda: came == [True])
    assert came == [True] * joined


async def test_how_far_a_phone_came_is_told_and_stays_told_when_the_hotspot_is_gone(
    made: Station, caplog: pytest.LogCaptureFixture
) -> None:
    assert made.front.phones() == ()
    await made.device.open_hotspot()
    with caplog.at_level("INFO"):
        await made.front.client_seen("10.42.0.57", "probe")
        await made.front.client_seen("10.42.0.57", "page")
    assert "phone 10.42.0.57 on the hotspot: page" in caplog.text
    await made.device.network.stop_hotspot()
    [trail] = made.front.phones()
    assert (trail.address, list(trail.steps)) == ("10.42.0.57", ["probe", "page"])


async def test_without_a_hotspot_the_steps_on_the_portal_are_noted_and_the_log_stays_quiet(
    made: Station, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        await made.front.client_seen("192.168.1.7", "page")
    assert [trail.address for trail in made.front.phones()] == ["192.168.1.7"]
    assert "192.168.1.7" not in caplog.text


async def test_a_person_can_go_back_blink_the_light_and_send_now(made: Station) -> None:
    await made.front.cancel()
    assert made.device.inbox._cancelled.is_set()
    await made.front.locate()
    assert made.front.snapshot().led.pattern == "locate"
    await made.front.retry()
    assert made.device.heartbeat._kicked.is_set()
    assert await made.device.inbox.wait_claim(0.1) is True
