"""The list of networks: one row for each name, strongest first."""

from __future__ import annotations

from portal.choices import choices, find
from portal.view import Network


def test_one_row_for_each_name_with_the_strongest_signal_first() -> None:
    heard = [Network(b"b", 20), Network(b"a", 30), Network(b"b", 90), Network(b"c", 50)]
    rows = [(choice.network.ssid, choice.network.signal) for choice in choices(heard)]
    assert rows == [(b"b", 90), (b"c", 50), (b"a", 30)]


def test_names_that_look_alike_but_differ_in_bytes_are_two_rows() -> None:
    latin, cyrillic = b"Home", "Ноmе".encode()
    assert {choice.network.ssid for choice in choices([Network(latin), Network(cyrillic)])} == {
        latin,
        cyrillic,
    }


def test_a_stronger_open_twin_does_not_take_the_place_of_a_protected_network() -> None:
    row = find([Network(b"Home", 40, "wpa2"), Network(b"Home", 99, "open")], b"Home")
    assert row is not None
    assert row.network.security == "wpa2"


def test_a_network_known_on_one_band_is_known() -> None:
    row = find([Network(b"Home", 90, band="5"), Network(b"Home", 40, band="2.4", known=True)], b"Home")
    assert row is not None
    assert (row.network.known, row.bands) == (True, ("2.4", "5"))


def test_beacons_without_a_name_are_not_listed() -> None:
    assert choices([Network(b""), Network(b"\x00\x00\x00"), Network(b"x" * 33)]) == []


def test_bars_follow_the_signal() -> None:
    levels = [choices([Network(b"x", signal)])[0].bars for signal in (0, 29, 30, 54, 55, 74, 75, 100)]
    assert levels == [1, 1, 2, 2, 3, 3, 4, 4]
