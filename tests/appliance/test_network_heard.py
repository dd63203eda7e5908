"""From transmitters to the list of networks: what a person is told of a name with several of them."""

from __future__ import annotations

import pytest

from appliance.network.heard import BANDS, networks
from appliance.network.networkmanager.air import AccessPoint
from appliance.network.port import Security

WPA2, OPEN = Security.WPA2, Security.OPEN
HOME_2 = AccessPoint(b"Home", 40, 2412, WPA2)
HOME_5 = AccessPoint(b"Home", 80, 5180, WPA2)
TWIN = AccessPoint(b"Home", 99, 2462, OPEN)

SEEN = [
    ("two bands", [HOME_2, HOME_5], BANDS, (80, ("2.4", "5"), WPA2)),
    ("two bands, a radio of one", [HOME_2, HOME_5], {"2.4"}, (40, ("2.4",), WPA2)),
    ("two bands, a radio of the other", [HOME_2, HOME_5], {"5"}, (80, ("5",), WPA2)),
    ("one band that the radio lacks", [HOME_5], {"2.4"}, (80, ("5",), WPA2)),
    ("an open twin", [HOME_2, TWIN], BANDS, (40, ("2.4",), WPA2)),
    ("an open twin where the radio can join", [HOME_5, TWIN], {"2.4"}, (99, ("2.4",), OPEN)),
]


@pytest.mark.parametrize(("points", "bands", "expected"), [s[1:] for s in SEEN], ids=[s[0] for s in SEEN])
def test_a_name_is_judged_by_the_transmitters_that_the_radio_can_join(
    points: list[AccessPoint], bands: set[str], expected: tuple[int, tuple[str, ...], Security]
) -> None:
    for order in (points, points[::-1]):
        (found,) = networks(order, (), bands)
        assert (found.signal, found.bands, found.security) == expected


def test_the_list_has_each_name_once_the_strongest_first() -> None:
    barn = AccessPoint(b"Barn", 60, 2412, OPEN)
    found = networks([HOME_2, barn, HOME_5], {b"Barn"})
    assert [(n.ssid, n.signal, n.known) for n in found] == [(b"Home", 80, False), (b"Barn", 60, True)]
