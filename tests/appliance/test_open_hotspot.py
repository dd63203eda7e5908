"""An open set-up hotspot: when it is opened, and that only who knows the station's key may use its page."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance import hardware
from appliance.keycheck import GUESSES, KeyCheck
from appliance.stages import setup
from appliance.station import Station
from firmware.display import ConsoleDisplay, NoDisplay
from portal.server import create_app, serving
from portal.view import JoinRequest, Refusal
from statemachine.lifecycle import State
from tests.appliance.test_front import stand
from tests.appliance.workshop import PASSWORD, station, until
from tests.portal.phone import Phone

TOKEN = "mct_" + "D" * 43


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Station]:
    async with station(tmp_path, hotspot_open=True) as built:
        await built.device.network.start()
        stand(built, State.SETUP)
        await built.device.open_hotspot()
        yield built


def key_of(made: Station) -> str:
    hotspot = made.device.network.hotspot()
    assert hotspot is not None
    return hotspot.passphrase


async def test_the_hotspot_is_protected_unless_somebody_asked_for_an_open_one(tmp_path: Path) -> None:
    async with station(tmp_path) as made:
        await made.device.network.start()
        await made.device.open_hotspot()
        hotspot = made.device.network.hotspot()
        assert hotspot is not None
        assert (hotspot.open, hotspot.may_be_open) == (False, True)
        assert not made.front.snapshot().code_needed


@pytest.mark.parametrize(
    ("display", "chosen_key", "setting", "file", "opens", "asks"),
    [
        (True, False, True, False, True, True),
        (True, False, False, True, True, True),
        (False, False, True, False, False, False),
        (False, True, True, False, True, True),
        (False, False, False, True, True, False),
        (False, True, False, True, True, True),
        (True, True, False, False, False, False),
    ],
)
async def test_without_a_place_for_the_key_only_the_file_opens_the_hotspot(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    display: bool,
    chosen_key: bool,
    setting: bool,
    file: bool,
    opens: bool,
    asks: bool,
) -> None:
    shown = ConsoleDisplay(io.StringIO()) if display else NoDisplay()
    monkeypatch.setattr(hardware, "display", lambda _settings: shown)
    async with station(tmp_path, hotspot_open=setting) as made:
        if chosen_key:
            made.device.hotspot_key.choose("my own key!")
        made.device.boot._taken.hotspot_open = file
        await made.device.network.start()
        await made.device.open_hotspot()
        picture = made.front.snapshot()
        assert (picture.hotspot_open, picture.code_needed) == (opens, asks)
        hotspot = made.device.network.hotspot()
        assert hotspot is not None
        assert hotspot.may_be_open == (display or chosen_key)


async def test_the_key_stands_on_the_display_with_and_without_the_claim_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(hardware, "display", lambda _settings: ConsoleDisplay(stream))
    async with station(tmp_path, retry_seconds=0.05) as made:
        await made.device.network.start()
        await made.device.open_hotspot()
        key = key_of(made)
        assert f"Key      {key}" in stream.getvalue()
        await setup.run(made.device)
        card = stream.getvalue().split("PIN", 1)[1]
        assert f"Key      {key}" in card


@pytest.mark.parametrize("typed", ["", "wrong", "ключ"])
async def test_nothing_is_taken_without_the_key(made: Station, typed: str) -> None:
    for refused_one in (
        made.front.join(JoinRequest(b"Home", PASSWORD, code=typed)),
        made.front.use_claim_code(TOKEN, typed),
    ):
        with pytest.raises(Refusal) as refused:
            await refused_one
        assert (refused.value.code, refused.value.field) == ("NET-113", "code")
    assert not made.device.inbox.has_credentials
    assert made.device.journal.record.claim_token is None
    assert made.front.snapshot().card is None, "the PIN is for those who stand at the display"


async def test_with_the_key_a_network_is_taken_also_with_the_phones_capital_letter(made: Station) -> None:
    typed = key_of(made).capitalize()
    joining = asyncio.create_task(made.front.join(JoinRequest(b"Home", PASSWORD, code=typed)))
    await made.device.inbox.wait_credentials()
    assert made.device.inbox.take_credentials() is not None
    await joining


def test_guesses_are_few_for_all_together() -> None:
    check = KeyCheck()
    for _ in range(GUESSES):
        with pytest.raises(Refusal, match="NET-113"):
            check.check("guess", "the right key", 0.0)
    with pytest.raises(Refusal, match="WEB-003"):
        check.check("the right key", "the right key", 0.0)
    check.check("the right key", "the right key", 20.0)


async def test_the_page_says_the_risk_and_asks_for_the_key(made: Station) -> None:
    async with (
        serving(create_app(made.front), "127.0.0.1", 0) as address,
        Phone(address) as phone,
    ):
        page = await phone.open("/setup?network=other")
        assert "hotspot is open: everybody near it can read" in page.text
        wish = {"name": "Home", "password": PASSWORD}
        refused = await phone.send(page, "/setup/join", **wish, code="wrong")
        assert refused.status == 422
        assert "NET-113" in refused.text
        assert key_of(made) not in refused.html
        assert PASSWORD not in refused.html
        sending = asyncio.create_task(phone.send(refused, "/setup/join", **wish, code=key_of(made)))
        await until(lambda: made.device.inbox.has_credentials)
        made.device.inbox.take_credentials()
        await sending


async def test_the_page_of_a_protected_hotspot_asks_for_no_key(tmp_path: Path) -> None:
    async with station(tmp_path) as made:
        await made.device.network.start()
        stand(made, State.SETUP)
        await made.device.open_hotspot()
        async with serving(create_app(made.front), "127.0.0.1", 0) as address, Phone(address) as phone:
            page = await phone.open("/setup?network=other")
            assert "code" not in page.form("/setup/join").fields
            assert "hotspot is open" not in page.text
