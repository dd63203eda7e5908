"""The country is guessed, confirmed, kept and applied; a guess alone never reaches the radio."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from appliance.commandline.show import lines
from appliance.country import Country
from appliance.network.country import CountryNotSet
from appliance.network.regulatory import NOT_ALLOWED
from appliance.paths import Paths
from appliance.reset import station_reset, wish
from appliance.stages import initializing
from firmware.reset import Extent
from portal.present import facts
from portal.server import create_app, serving
from portal.view import JoinRequest, Refusal
from tests.appliance.fakes import FakeCloud
from tests.appliance.workshop import PASSWORD, running, station, until
from tests.portal.phone import Phone


class Radio:
    """A regulatory domain that notes what it was told, and may refuse it."""

    def __init__(self, *heard: str, refuses: bool = False) -> None:
        self.heard = list(heard)
        self.refuses = refuses
        self.told: list[str] = []

    async def neighbours(self) -> list[str]:
        return self.heard

    async def set_country(self, code: str) -> None:
        self.told.append(code)
        if self.refuses:
            raise CountryNotSet(NOT_ALLOWED)


async def test_a_guess_is_kept_but_never_applied(tmp_path: Path) -> None:
    radio = Radio("DE", "DE", "FR")
    country = Country(tmp_path, "", radio)
    await country.listen()
    await country.apply()
    again = Country(tmp_path, "", radio)
    await again.apply()
    assert (again.code, again.said_by, again.confirmed) == ("DE", "guess", "")
    assert radio.told == []


async def test_what_a_person_confirms_is_applied_at_once_and_at_every_start(tmp_path: Path) -> None:
    radio = Radio("DE", "DE")
    country = Country(tmp_path, "", radio)
    await country.listen()
    await country.confirm("AT")
    again = Country(tmp_path, "", radio)
    await again.apply()
    assert (again.code, again.said_by, again.guess) == ("AT", "person", "DE")
    assert radio.told == ["AT", "AT"]


async def test_the_settings_overrule_the_person(tmp_path: Path) -> None:
    radio = Radio()
    await Country(tmp_path, "", radio).confirm("AT")
    country = Country(tmp_path, "CH", radio)
    await country.apply()
    assert (country.code, country.said_by, country.fixed) == ("CH", "settings", True)
    assert radio.told == ["AT", "CH"]


@pytest.mark.parametrize("heard", [[], ["DE"], ["DE", "DE", "FR", "FR"], ["XX", "XX"], ["EU", "EU"]])
async def test_a_doubtful_neighbourhood_is_no_guess(tmp_path: Path, heard: list[str]) -> None:
    country = Country(tmp_path, "", Radio(*heard))
    await country.listen()
    assert (country.code, country.said_by) == ("", "")


async def test_after_a_new_scan_the_guess_follows(tmp_path: Path) -> None:
    radio = Radio("DE", "DE")
    country = Country(tmp_path, "", radio)
    await country.listen()
    radio.heard = ["FR", "FR"]
    await country.listen()
    assert country.guess == "DE"
    await country.listen(again=True)
    assert country.guess == "FR"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"said": 1}', '{"said": "XX", "guess": "xx"}'])
def test_a_damaged_file_means_that_the_country_is_asked_for_again(tmp_path: Path, text: str) -> None:
    (tmp_path / "country.json").write_text(text)
    assert Country(tmp_path, "", Radio()).code == ""


async def test_a_radio_that_refuses_is_told_only_where_it_matters(tmp_path: Path) -> None:
    country = Country(tmp_path, "", Radio(refuses=True))
    await country.confirm("DE")
    assert country.notices() == []
    await country.chosen(five_ghz=True)
    again = Country(tmp_path, "", Radio(refuses=True))
    await again.apply()
    assert [notice.code for notice in again.notices()] == ["NET-019"]
    assert "DE: the station is not allowed to set it." in str(again.notices()[0].sentence)
    await again.chosen(five_ghz=False)
    assert again.notices() == []


async def test_what_hinders_the_radio_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    country = Country(tmp_path, "DE", Radio(refuses=True))
    await country.apply()
    await country.apply()
    assert caplog.text.count("does not follow the rules of DE") == 1


async def test_a_guess_that_cannot_be_written_is_used_until_the_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("appliance.country.write_atomically", full)
    country = Country(tmp_path, "", Radio("DE", "DE"))
    await country.listen()
    assert country.code == "DE"
    assert "No space left on device" in caplog.text


async def test_a_reset_forgets_the_country_with_the_networks(tmp_path: Path) -> None:
    async with station(tmp_path) as made:
        await made.device.country.confirm("DE")
        await made.device.network.start()
        assert made.paths.country.exists()
        wish(made.paths, Extent.OWNER)
        await station_reset(made.paths, made.device.network, tmp_path / "spool").finish_pending()
    assert not made.paths.country.exists()


async def test_a_confirmed_country_is_applied_before_the_radio_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with station(tmp_path, country="DE") as made:
        order: list[str] = []
        network, start = made.device.network, made.device.network.start

        async def set_country(code: str) -> None:
            order.append(f"country {code}")

        async def started() -> None:
            order.append("start")
            await start()

        monkeypatch.setattr(network, "set_country", set_country)
        monkeypatch.setattr(network, "start", started)
        await initializing.run(made.device)
    assert order == ["country DE", "start"]


def say_country(folder: Path, code: str) -> None:
    """Two networks in reach name `code`."""
    scenario = folder / "scenario.toml"
    more = '\n[[networks]]\nname = "Next door"\npassword = "not for us"\n'
    scenario.write_text(f'country = "{code}"\n{scenario.read_text()}{more}')


async def test_the_picture_names_the_country_and_who_says_it(tmp_path: Path, cloud: FakeCloud) -> None:
    async with station(tmp_path, cloud.url) as made, running(made.conductor.run):
        await until(lambda: made.conductor.state.value == "setup")
        assert made.front.snapshot().country == ""
        say_country(tmp_path, "FR")
        await until(lambda: made.device.network._world.country == "FR")  # type: ignore[attr-defined]
        await made.front.networks(rescan=True)
        guessed = made.front.snapshot()
        assert (guessed.country, guessed.country_by, guessed.country_guess) == ("FR", "guess", "FR")
        await made.front.use_country("DE")
        said = made.front.snapshot()
        assert (said.country, said.country_by, said.country_guess) == ("DE", "person", "FR")


async def test_a_person_confirms_the_guess_on_the_real_pages_and_a_restart_keeps_it(tmp_path: Path) -> None:
    async with station(tmp_path) as made, running(made.conductor.run):
        await until(lambda: made.conductor.state.value == "setup")
        say_country(tmp_path, "FR")
        await until(lambda: made.device.network._world.country == "FR")  # type: ignore[attr-defined]
        async with serving(create_app(made.front), "127.0.0.1", 0) as address, Phone(address) as phone:
            page = await phone.send(await phone.open("/setup"), "/setup/scan")
            assert "France as networks nearby say" in " ".join(page.text.split())
            page = await phone.send(page, "/country")
            assert page.path == "/setup"
            assert "as networks nearby say" not in page.text
    async with station(tmp_path) as again:
        assert (again.front.snapshot().country, again.front.snapshot().country_by) == ("FR", "person")


def test_names_of_countries_take_no_memory_before_a_page_asks_for_one() -> None:
    program = "import sys, appliance.daemon, portal.server; sys.exit('babel' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


async def test_joining_confirms_nothing(tmp_path: Path, cloud: FakeCloud) -> None:
    async with station(tmp_path, cloud.url) as made, running(made.conductor.run):
        await until(lambda: made.conductor.state.value == "setup")
        say_country(tmp_path, "FR")
        await until(lambda: made.device.network._world.country == "FR")  # type: ignore[attr-defined]
        await made.front.networks(rescan=True)
        await made.front.join(JoinRequest(b"Home", PASSWORD))
        assert made.front.snapshot().country_by == "guess"


async def test_a_country_in_the_settings_cannot_be_changed_by_a_page(tmp_path: Path) -> None:
    async with station(tmp_path, country="DE") as made:
        with pytest.raises(Refusal) as refused:
            await made.front.use_country("FR")
        assert refused.value.code == "NET-123"
        assert made.front.snapshot().country_by == "settings"


def test_the_file_lies_in_the_state_folder(tmp_path: Path) -> None:
    assert Paths(tmp_path).country == tmp_path / "state" / "country.json"


@pytest.mark.parametrize(
    ("setting", "said", "line"),
    [
        ("", "", "country      not known"),
        ("", "AT", "country      AT (as a person said)"),
        ("CH", "AT", "country      CH (network.country)"),
    ],
)
async def test_status_in_a_terminal_says_the_country_and_who_said_it(
    tmp_path: Path, setting: str, said: str, line: str
) -> None:
    async with station(tmp_path, country=setting) as made:
        if said:
            await made.device.country.confirm(said)
        told = facts(made.front.snapshot()) | {"card": None, "hardware_id": "", "config_path": ""}
        assert line in lines(told | {"running": True})
