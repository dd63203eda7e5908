"""Scenario files: what they say, what is refused, and what is true when."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.network.scenario import DEFAULT_SCENARIO, ScenarioRefused, parse, read, world

HOUSE = """
[[networks]]
name = "House"
password = "right one"
"""


def test_the_default_scenario_has_every_fault_a_person_may_meet() -> None:
    networks = parse(DEFAULT_SCENARIO).networks
    assert {network.fault for network in networks} >= {"none", "no_dhcp", "no_internet", "captive", "slow"}
    assert any(network.hidden for network in networks)
    assert any(not network.name.isascii() for network in networks)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "networks"),
        ("link = 3\n" + HOUSE, "`link`"),
        ("linq = 'lost'\n" + HOUSE, "linq"),
        (HOUSE + "signal = 101", "networks[0].signal"),
        (HOUSE + "fault = 'fire'", "networks[0].fault"),
        ("[[networks]]\nname_hex = 'zz'\npassword = 'x'", "networks[0].name_hex"),
        ("[[networks]]\nname = 'a'\nname_hex = '61'\npassword = 'x'", "networks[0]"),
        ("[[networks]]\npassword = 'x'", "networks[0]"),
        ("[[networks]]\nname = 'ééééééééééééééééé'\npassword = 'x'", "34 octets"),
        ("[[networks]]\nname = 'a'", "networks[0].password"),
        (HOUSE + "[[events]]\nat = 1\nnetwork = 'Mouse'\nsignal = 1", "events[0].network"),
        (HOUSE + "[[events]]\nat = 1\nnetwork = 'House'\nlink = 'lost'", "events[0].link"),
        (HOUSE + "[[events]]\nat = 1\nsignal = 5", "events[0].signal"),
        (HOUSE + "[[events]]\nlink = 'lost'", "`at`"),
        ("link = ", "TOML"),
    ],
)
def test_a_refused_scenario_names_the_field(text: str, named: str) -> None:
    with pytest.raises(ScenarioRefused) as refusal:
        parse(text, "world.toml")
    assert "world.toml" in str(refusal.value)
    assert named in str(refusal.value)


def test_a_file_that_cannot_be_read_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9\n")
    for name in ("absent.toml", "latin.toml"):
        with pytest.raises(ScenarioRefused, match=name):
            read(tmp_path / name)


def test_events_happen_at_their_time_and_stay() -> None:
    scenario = parse(
        HOUSE
        + """
[[events]]
at = 20
link = "back"
[[events]]
at = 10
link = "lost"
[[events]]
at = 30
network = "House"
fault = "no_internet"
[[events]]
at = 30
ethernet = true
"""
    )
    present = [
        world(scenario, elapsed, -1).strongest(b"House") is not None for elapsed in (0, 9.9, 10, 19, 20, 99)
    ]
    assert present == [True, True, False, False, True, True]
    late = world(scenario, 30, -1)
    house = late.strongest(b"House")
    assert house is not None
    assert (house.fault, late.ethernet) == ("no_internet", True)


def test_a_station_that_is_carried_abroad_hears_another_country() -> None:
    scenario = parse('country = "DE"\n' + HOUSE + '[[events]]\nat = 5\ncountry = "FR"\n')
    assert [world(scenario, elapsed, -1).country for elapsed in (0, 5)] == ["DE", "FR"]


@pytest.mark.parametrize("code", ["de", "DEU", "D", "1A"])
def test_a_country_is_two_capital_letters(code: str) -> None:
    with pytest.raises(ScenarioRefused, match="country"):
        parse(f'country = "{code}"\n' + HOUSE)


def test_an_edited_file_is_the_truth_and_past_events_are_not_played_again() -> None:
    scenario = parse('link = "lost"\n' + HOUSE + '[[events]]\nat = 5\nlink = "back"\n')
    assert world(scenario, 8, read_at=7).strongest(b"House") is None
    assert world(scenario, 8, read_at=-1).strongest(b"House") is not None


def test_a_network_whose_name_is_no_text_is_given_in_hex() -> None:
    scenario = parse(
        "[[networks]]\nname_hex = 'ff00fe'\nsecurity = 'open'\n"
        "[[events]]\nat = 1\nnetwork = 'ff00fe'\nin_range = false\n"
    )
    assert world(scenario, 0, -1).strongest(b"\xff\x00\xfe") is not None
    assert world(scenario, 1, -1).strongest(b"\xff\x00\xfe") is None
