"""The set-up hotspot's channel, address and ladder, and the country of the neighbours: pure."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.network import country
from appliance.network.country import countries_in, guess_country, read_countries
from appliance.network.networkmanager.air import AccessPoint
from appliance.network.networkmanager.hotspot_profile import quietest_channel, subnet
from appliance.network.networkmanager.ladder import HANDSHAKES, Ladder, Rung
from appliance.network.port import Security


def at(frequency: int, signal: int = 50) -> AccessPoint:
    return AccessPoint(b"x", signal, frequency, Security.WPA2)


CHANNELS: list[tuple[list[AccessPoint], int]] = [
    ([], 1),
    ([at(2412)], 6),
    ([at(2412), at(2437)], 11),
    ([at(2412), at(2437), at(2462)], 1),
    ([at(2412, 90), at(2437, 20), at(2462, 60)], 6),
    ([at(2427)], 11),  # channel 4 disturbs 1 and 6
    ([at(2447), at(2417)], 1),  # 8 disturbs 6 and 11, 2 disturbs 1 and 6: the least wins
    ([at(5180, 99)] * 20 + [at(2412)], 6),  # another band does not count
    ([at(2412, 10)] * 9 + [at(2437, 50), at(2462, 95)], 6),
]


@pytest.mark.parametrize(("points", "expected"), CHANNELS)
def test_the_hotspot_takes_the_quietest_channel(points: list[AccessPoint], expected: int) -> None:
    found = quietest_channel(points)
    assert found in (1, 6, 11)
    if points != [at(2447), at(2417)]:
        assert found == expected


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([], "10.42.0.1/24"),
        (["192.168.1.50/24", "fe80::1/64"], "10.42.0.1/24"),
        (["10.42.0.7/24"], "10.42.1.1/24"),
        (["10.42.0.7/23", "10.42.2.1/32"], "10.42.3.1/24"),
        (["10.0.0.5/8"], "10.42.0.1/24"),
    ],
)
def test_the_hotspots_network_is_none_that_the_station_is_in(taken: list[str], expected: str) -> None:
    assert str(subnet(taken)) == expected


def test_the_ladder_ends_before_the_open_hotspot_unless_the_page_asks_for_a_code() -> None:
    assert [rung.value for rung in climbed(Ladder())] == ["wpa2", "wpa"]
    assert [rung.value for rung in climbed(Ladder(open_allowed=True))] == ["wpa2", "wpa", "open"]


def climbed(ladder: Ladder | None) -> list[Rung]:
    rungs = []
    while ladder is not None:
        rungs.append(ladder.rung)
        ladder = ladder.down()
    return rungs


def test_clients_that_fail_in_a_row_take_the_hotspot_a_rung_down() -> None:
    ladder: Ladder | None = Ladder()
    for _ in range(HANDSHAKES - 1):
        assert ladder is not None
        ladder = ladder.handshake_failed()
        assert ladder is not None and ladder.rung is Rung.WPA2
    assert ladder is not None
    proven = ladder.client_came_in()
    assert proven == Ladder(proven=True)
    assert proven.handshake_failed() == proven, "where phones get in, nobody outside can bring it down"
    down = ladder.handshake_failed()
    assert down == Ladder(Rung.WPA)


def test_what_is_heard_from_the_air_never_opens_the_hotspot() -> None:
    ladder = Ladder(Rung.WPA, open_allowed=True, failed_handshakes=HANDSHAKES - 1)
    assert ladder.handshake_failed() is None
    assert ladder.down() == Ladder(Rung.OPEN, open_allowed=True), "the station's own look does"


COUNTRIES: list[tuple[list[str], str | None]] = [
    ([], None),
    (["DE"], None),
    (["DE", "DE"], "DE"),
    (["DE", "AT", "DE", "AT"], None),
    (["DE", "AT", "DE"], "DE"),
    (["00", "xx", "de", "DEU", "DE", "DE"], "DE"),
]


@pytest.mark.parametrize(("beacons", "expected"), COUNTRIES)
def test_the_country_is_what_most_neighbours_say(beacons: list[str], expected: str | None) -> None:
    assert guess_country(beacons) == expected


DUMP = """BSS 02:00:00:00:01:00(on wlan0) -- associated
\tSSID: Home
\tCountry: DE\tEnvironment: Indoor/Outdoor
\t\tChannels [1 - 13] @ 20 dBm
BSS 02:00:00:00:02:00(on wlan0)
\tSSID: Country: XX
BSS 02:00:00:00:03:00(on wlan0)
\tSSID: \\xff
\tCountry: AT\tEnvironment: bogus
"""


def test_the_country_of_each_network_is_read_from_what_iw_prints() -> None:
    assert countries_in(DUMP) == ["DE", "AT"]
    assert countries_in("") == []


async def test_without_iw_or_without_a_radio_no_country_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await read_countries("nowhere0") == []
    monkeypatch.setattr("shutil.which", lambda *_args, **_more: None)
    assert await read_countries("wlan0") == []


async def test_what_iw_prints_is_read_through_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "iw"
    program.write_text(f"#!/bin/sh\n[ \"$*\" = 'dev wlan0 scan dump' ] || exit 1\ncat <<'END'\n{DUMP}END\n")
    program.chmod(0o755)
    monkeypatch.setattr("shutil.which", lambda *_args, **_more: str(program))
    assert await read_countries("wlan0") == ["DE", "AT"]


async def test_a_program_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "iw"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setattr("shutil.which", lambda *_args, **_more: str(program))
    monkeypatch.setattr(country, "DUMP_S", 0.3)
    assert await read_countries("wlan0") == []
