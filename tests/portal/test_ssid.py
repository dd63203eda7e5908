"""Network names stay bytes, and what a person sees of them cannot deceive or disappear."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.ssid import display, from_hex, to_hex


@pytest.mark.parametrize(
    ("ssid", "seen"),
    [
        (b"Home", "Home"),
        ("Café Ωmega".encode(), "Café Ωmega"),
        ("🏠 家".encode(), "🏠 家"),
        (b"a:b\\c\"d'e", "a:b\\c\"d'e"),
        (b"\xff\xfeHome", "\\xff\\xfeHome"),
        (b"a\x00b\n", "a\\x00b\\x0a"),
        ("user\u202egnp.exe".encode(), "user\\u202egnp.exe"),
        (b"  two before, one after ", "␣␣two before, one after␣"),
        (b"   ", "␣␣␣"),
        (b"", "∅"),
        ("👨\u200d👩\u200d👧".encode(), "👨\u200d👩\u200d👧"),
        ("Ho\u200dme".encode(), "Ho\\u200dme"),
        ("a\u00a0b\u2028c".encode(), "a b\\u2028c"),
    ],
)
def test_a_name_is_shown_with_its_invisible_parts_made_visible(ssid: bytes, seen: str) -> None:
    assert display(ssid) == seen


@given(st.binary(max_size=32))
def test_no_name_shows_as_nothing_or_turns_the_reading_direction(ssid: bytes) -> None:
    seen = display(ssid)
    assert seen.strip()
    invisible = {c for c in seen if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")}
    assert invisible <= {"\u200c", "\u200d"}


@given(st.binary(min_size=1, max_size=32))
def test_every_name_survives_its_way_through_a_form(ssid: bytes) -> None:
    assert from_hex(to_hex(ssid)) == ssid


@pytest.mark.parametrize("damaged", ["", "zz", "4", "48 6f", "00" * 33, "４８"])
def test_a_damaged_name_is_refused(damaged: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_hex(damaged)
