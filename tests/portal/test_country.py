"""A person confirms or changes the country, and is asked for it where it matters; nowhere must they."""

from __future__ import annotations

from dataclasses import replace

import pytest

from portal.countries import CODES, names
from portal.fakes import IN_SETUP, NEARBY, RUNNING, FakeStation
from portal.languages import load
from portal.view import JoinRequest
from tests.portal.phone import Phone

GUESSED = replace(IN_SETUP, country="AT", country_by="guess", country_guess="AT")
OBSERVATORY = f"/setup?network={b'Observatory'.hex()}"
HOME = f"/setup?network={b'Home-5G'.hex()}"


def test_every_language_names_every_country_in_its_own_words() -> None:
    english = names("en")
    assert set(english) == CODES and len(CODES) == 249
    for language in load():
        named = names(language.tag)
        assert set(named) == CODES, language.tag
        assert len(set(named.values())) == len(CODES), language.tag
        own = sum(named[code] != english[code] for code in CODES)
        assert language.tag == "en" or own > 80, language.tag  # many names are the same among neighbours


@pytest.mark.parametrize(
    ("tag", "in_order"),
    [
        ("de", ["Afghanistan", "Ägypten", "Albanien", "Oman", "Österreich"]),
        ("fr", ["Égypte", "Émirats arabes unis", "Équateur", "Espagne"]),
        ("es", ["Afganistán", "España", "Níger", "Zambia"]),
        ("ar", ["إثيوبيا", "ألمانيا", "مصر", "هولندا"]),
        ("zh-Hans", ["阿根廷", "德国", "斐济", "日本", "中国"]),
        ("zh-Hant", ["土耳其", "日本", "法國", "德國"]),
        ("ja", ["アイスランド", "ドイツ", "フランス", "日本"]),
        ("ko", ["가나", "대한민국", "독일", "홍콩(중국 특별행정구)"]),
    ],
)
def test_countries_stand_in_the_order_of_the_language(tag: str, in_order: list[str]) -> None:
    listed = [name for name in names(tag).values() if name in in_order]
    assert listed == in_order


async def test_a_guess_is_named_as_one_and_confirmed_by_one_press(phone: Phone, station: FakeStation) -> None:
    await station.show(GUESSED)
    page = await phone.open("/setup")
    assert "Austria as networks nearby say" in " ".join(page.text.split())
    after = await phone.send(page, "/country")
    assert station.asked == [("country", "AT")]
    assert after.path == "/setup"
    assert "as networks nearby say" not in after.text


async def test_another_country_is_chosen_from_the_list(phone: Phone, station: FakeStation) -> None:
    await station.show(GUESSED)
    page = await phone.follow(await phone.open("/setup"), "Change")
    assert page.form("/country").fields["country"] == "AT"
    assert "That is a guess" in page.text
    after = await phone.send(page, "/country", country="CH")
    assert station.asked == [("country", "CH")]
    assert after.path == "/setup"
    assert "Switzerland" in after.text


async def test_without_a_guess_nothing_is_chosen_beforehand(phone: Phone, station: FakeStation) -> None:
    page = await phone.follow(await phone.open("/setup"), "Choose a country")
    assert page.form("/country").fields["country"] == ""
    assert "That is a guess" not in page.text


@pytest.mark.parametrize("code", ["", "XX", "at", "Austria", "<b>"])
async def test_what_is_no_country_is_refused(phone: Phone, station: FakeStation, code: str) -> None:
    page = await phone.open("/country")
    refused = await phone.send(page, "/country", country=code)
    assert refused.status == 422
    assert "NET-122" in refused.text
    assert station.asked == []


async def test_an_old_form_is_shown_again_with_the_choice(phone: Phone, station: FakeStation) -> None:
    refused = await phone.send(await phone.open("/country"), "/country", country="CH", token="1.0")
    assert refused.status == 403
    assert refused.form("/country").fields["country"] == "CH"
    assert (await phone.send(refused, "/country")).status == 200
    assert station.asked == [("country", "CH")]


@pytest.mark.parametrize(("back", "path"), [("/status", "/status"), ("//evil.example", "/setup")])
async def test_the_way_back_stays_on_the_station(
    phone: Phone, station: FakeStation, back: str, path: str
) -> None:
    page = await phone.open(f"/country?back={back}")
    assert (await phone.send(page, "/country", country="CH")).path == path


async def test_a_country_in_the_settings_is_shown_and_not_asked_for(
    phone: Phone, station: FakeStation
) -> None:
    await station.show(replace(RUNNING, country="AT", country_by="settings"))
    status = await phone.open("/status")
    assert "Austria fixed in the settings" in " ".join(status.text.split())
    assert not [label for _, label in status.links if label == "Change"]
    page = await phone.open("/country")
    assert "/country" not in [form.action for form in page.forms]


async def test_the_status_page_names_the_country(phone: Phone, station: FakeStation) -> None:
    await station.show(replace(RUNNING, country="JP", country_by="person"))
    page = await phone.open("/status")
    assert "Japan" in page.text
    assert (await phone.follow(page, "Change")).form("/country").fields["country"] == "JP"


async def test_joining_where_the_country_does_not_matter_confirms_nothing(
    phone: Phone, station: FakeStation
) -> None:
    await station.show(GUESSED)
    page = await phone.open(HOME)
    assert "country" not in page.form("/setup/join").fields
    await phone.send(page, "/setup/join", password="correct horse")
    assert [name for name, _ in station.asked] == ["join"]


async def test_a_network_at_5_ghz_alone_asks_for_the_country(phone: Phone, station: FakeStation) -> None:
    await station.show(GUESSED)
    page = await phone.open(OBSERVATORY)
    assert page.form("/setup/join").fields["country"] == "AT"
    await phone.send(page, "/setup/join", password="correct horse", country="CH")
    wish = JoinRequest(b"Observatory", "correct horse", security="wpa3", five_ghz=True)
    assert station.asked == [("country", "CH"), ("join", wish)]


async def test_a_network_at_5_ghz_can_be_joined_without_an_answer(phone: Phone, station: FakeStation) -> None:
    page = await phone.open(OBSERVATORY)
    assert page.form("/setup/join").fields["country"] == ""
    await phone.send(page, "/setup/join", password="correct horse")
    assert [name for name, _ in station.asked] == ["join"]


async def test_whoever_has_said_the_country_is_not_asked_again(phone: Phone, station: FakeStation) -> None:
    await station.show(replace(GUESSED, country="CH", country_by="person"))
    page = await phone.open(OBSERVATORY)
    assert "country" not in page.form("/setup/join").fields
    await phone.send(page, "/setup/join", password="correct horse", country="AT")
    assert [name for name, _ in station.asked] == ["join"]


async def test_a_wrong_password_keeps_the_country_that_was_chosen(phone: Phone, station: FakeStation) -> None:
    refused = await phone.send(await phone.open(OBSERVATORY), "/setup/join", password="short", country="CH")
    assert "NET-105" in refused.text
    assert refused.form("/setup/join").fields["country"] == "CH"
    assert station.asked == []


async def test_a_network_of_both_bands_does_not_ask(phone: Phone, station: FakeStation) -> None:
    assert {network.band for network in NEARBY if network.ssid == b"Home-5G"} == {"2.4", "5"}
    assert "country" not in (await phone.open(HOME)).form("/setup/join").fields


async def test_a_guess_chooses_the_language_of_a_browser_that_asks_for_none_of_ours(
    address: str, station: FakeStation
) -> None:
    await station.show(replace(IN_SETUP, country="JP", country_by="guess", country_guess="JP"))
    async with Phone(address, language="fi") as phone:
        page = await phone.open("/setup")
    assert page.language == "ja"
    assert "日本" in page.text


async def test_the_list_runs_from_right_to_left(address: str, station: FakeStation) -> None:
    await station.show(GUESSED)
    async with Phone(address, language="ar") as phone:
        page = await phone.open("/country")
    assert (page.direction, page.language) == ("rtl", "ar")
    assert "النمسا" in page.text
