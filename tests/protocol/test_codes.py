"""Human codes: what is accepted as typed, what is refused with a reason, and what is never guessed."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import codes

SHORT = codes.short_id("6UoWwDCkLjV0J-pQG8c0THxbVhBcpR0AZDift1Yl5DM")


def test_a_short_id_is_six_letters_and_follows_from_the_key() -> None:
    assert re.fullmatch(f"[{codes.CONSONANTS}]{{6}}", SHORT)
    assert codes.short_id("6UoWwDCkLjV0J-pQG8c0THxbVhBcpR0AZDift1Yl5DM") == SHORT
    assert codes.short_id("other") != SHORT


@pytest.mark.parametrize("typed", ["123456", "123 456", " 123-456 ", "123\u2011456", "1 2 3 4 5 6"])
def test_a_pin_is_accepted_as_people_type_it(typed: str) -> None:
    assert codes.parse_pin(typed) == "123456"


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "12345a", "١٢٣٤٥٦", "123.456"])
def test_a_pin_with_a_foreign_character_is_refused_not_stripped(typed: str) -> None:
    with pytest.raises(codes.CodeRefused, match="six digits"):
        codes.parse_pin(typed)


@pytest.mark.parametrize("typed", ["bcdfgh", "BCD FGH", "bcd-fgh", "Meteor-BCDFGH", " meteor-bcdfgh "])
def test_a_short_id_is_accepted_in_every_form_that_is_shown(typed: str) -> None:
    assert codes.parse_short_id(typed) == "BCDFGH"


@pytest.mark.parametrize("typed", ["", "BCDFG", "BCDFGHJ", "ABCDFG", "BCDFG1", "BCDFGY"])
def test_a_short_id_with_other_letters_is_refused(typed: str) -> None:
    with pytest.raises(codes.CodeRefused, match="six letters"):
        codes.parse_short_id(typed)


def test_a_claim_code_is_accepted_plain_and_as_the_qr_text_with_its_pin() -> None:
    token, pin = codes.new_claim_token(), "0a" * 32
    assert codes.parse_claim_code(f"  {token}\n") == codes.ClaimCode(token)
    text = codes.claim_text("https://cloud.example.org", token, pin)
    for typed in (text, f" {text}\n", codes.ClaimCode(token, pin).text):
        assert codes.parse_claim_code(typed) == codes.ClaimCode(token, pin)
    assert token not in repr(codes.parse_claim_code(text))
    for broken in ("", token[:-1], token + "x", "METEOR1|", "mct_" + "!" * 43):
        with pytest.raises(codes.CodeRefused):
            codes.parse_claim_code(broken)


@pytest.mark.parametrize("end", ["", "|", "|abc", "|" + "g" * 64, "|" + "a" * 63])
def test_a_qr_text_that_was_cut_is_refused_and_not_taken_without_its_pin(end: str) -> None:
    with pytest.raises(codes.CodeRefused, match="cut short"):
        codes.parse_claim_code(f"METEOR1|https://cloud.example.org|{codes.new_claim_token()}{end}")


def test_the_link_carries_the_secret_in_its_fragment_only() -> None:
    secret = codes.new_link_secret()
    assert codes.parse_link_secret(secret) == secret
    before, _, fragment = codes.claim_link("https://cloud.example.org/", SHORT, secret).partition("#")
    assert before == "https://cloud.example.org/claim"
    assert fragment == f"{SHORT}.{secret}"
    with pytest.raises(codes.CodeRefused):
        codes.parse_link_secret(secret[:-1])


@given(st.lists(st.text(max_size=20), max_size=4), st.lists(st.text(max_size=20), max_size=4))
def test_different_parts_never_share_a_mac(one: list[str], other: list[str]) -> None:
    macs = [codes.code_mac(b"pepper", "pin", *parts) for parts in (one, other)]
    assert (macs[0] == macs[1]) == (one == other)


def test_a_mac_depends_on_pepper_and_purpose() -> None:
    reference = codes.code_mac(b"p", "pin", "BCDFGH", "123456")
    assert codes.code_mac(b"q", "pin", "BCDFGH", "123456") != reference
    assert codes.code_mac(b"p", "link", "BCDFGH", "123456") != reference


@pytest.mark.parametrize("make", [codes.new_pin, codes.new_link_secret, codes.new_claim_token])
def test_secrets_differ(make: Callable[[], str]) -> None:
    assert len({make() for _ in range(50)}) > 45


def test_identifiers_sort_by_time() -> None:
    assert re.fullmatch(r"dev_[0-9A-HJKMNP-TV-Z]{26}", codes.ulid("dev_", 1))
    assert codes.ulid("dev_", 1_000) < codes.ulid("dev_", 2_000)
    assert codes.uuid7(1_000) < codes.uuid7(2_000)
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", codes.uuid7(1)
    )


@given(st.binary(max_size=64))
def test_base64url_round_trips(data: bytes) -> None:
    assert codes.from_base64url(codes.base64url(data)) == data
