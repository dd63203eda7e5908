"""What is wrong with a form is found before the phone loses the hotspot."""

from __future__ import annotations

import pytest

from portal.fakes import FakeStation
from portal.forms import JoinForm, claim_code
from portal.view import JoinRequest, Network, Refusal
from tests.portal.phone import Phone

HOME = b"Home".hex()


@pytest.mark.parametrize(
    ("form", "code", "field"),
    [
        (JoinForm(network=HOME, password=""), "NET-104", "password"),
        (JoinForm(network=HOME, password="1234567"), "NET-105", "password"),
        (JoinForm(network=HOME, password="x" * 64), "NET-106", "password"),
        (JoinForm(network=HOME, password="ü" * 32), "NET-106", "password"),
        (JoinForm(network=HOME, password="mother’s pie"), "NET-107", "password"),
        (JoinForm(network=HOME, password="correct horse "), "NET-108", "password"),
        (JoinForm(network=HOME, password="correct\x07horse"), "NET-110", "password"),
        (JoinForm(network=HOME, password="abcd", security="wep"), "NET-109", "password"),
        (JoinForm(network="not hex", password="abcdefgh"), "NET-103", "network"),
        (JoinForm(name="", password="abcdefgh"), "NET-101", "name"),
        (JoinForm(name="   ", password="abcdefgh"), "NET-101", "name"),
        (JoinForm(name="Home ", password="abcdefgh"), "NET-108", "name"),
        (JoinForm(name="é" * 17, password="abcdefgh"), "NET-102", "name"),
        (JoinForm(name="\ud800", password="abcdefgh"), "NET-103", "name"),
    ],
)
def test_a_fault_is_named_with_its_field(form: JoinForm, code: str, field: str) -> None:
    with pytest.raises(Refusal) as refused:
        form.request(None)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert refused.value.action


@pytest.mark.parametrize(
    ("password", "security"),
    [
        ("12345678", "wpa2"),
        ("x" * 63, "wpa3"),
        ("0123456789abcdefABCDEF" + "0" * 42, "wpa2"),
        ("pässword", "wpa2"),
        ("$`\\\"';--<>&%", "wpa2"),
        ("abcde", "wep"),
        ("0123456789", "wep"),
    ],
)
def test_a_password_that_a_router_can_have_is_taken_as_it_is(password: str, security: str) -> None:
    request = JoinForm(network=HOME, password=password, security=security).request(
        Network(b"Home", security=security)
    )
    assert request == JoinRequest(b"Home", password, hidden=False, security=security)


@pytest.mark.parametrize("password", ["mother’s pie", " leading", "trailing ", "soft\u00a0space"])
def test_a_person_may_insist_on_what_was_typed(password: str) -> None:
    with pytest.raises(Refusal) as refused:
        JoinForm(network=HOME, password=password).request(None)
    assert refused.value.keep_as_typed
    insisting = JoinForm(network=HOME, password=password, as_typed=True)
    assert insisting.request(None).passphrase == password


def test_what_the_radio_heard_counts_more_than_what_the_form_says() -> None:
    form = JoinForm(network=HOME, password="abcdefgh", security="open")
    assert form.request(Network(b"Home", security="wpa3")).security == "wpa3"


def test_an_open_network_gets_no_password() -> None:
    form = JoinForm(network=HOME, password="typed by mistake", security="open")
    assert form.request(Network(b"Home", security="open")).passphrase is None


def test_a_network_that_was_not_heard_is_asked_for_by_name() -> None:
    assert JoinForm(name="Hidden", password="abcdefgh").request(None).hidden
    assert not JoinForm(name="Home", password="abcdefgh").request(Network(b"Home")).hidden


def test_an_unknown_protection_in_a_form_becomes_the_usual_one() -> None:
    assert JoinForm.read({"security": "<script>"}).security == "wpa2"


@pytest.mark.parametrize("text", ["", "short", "with space inside", "ünïcode-code", "x" * 513, "a\nb-code"])
def test_what_cannot_be_a_claim_code_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        claim_code(text)
    assert (refused.value.code, refused.value.field) == ("NET-112", "claim_code")


def test_a_claim_code_loses_the_blanks_around_it() -> None:
    assert claim_code("  mct_AbC-123_xyz\n") == "mct_AbC-123_xyz"


def test_secrets_do_not_appear_when_a_request_is_printed() -> None:
    form = JoinForm(network=HOME, password="canary-1", claim_code="canary-2")
    assert "canary" not in repr(form)
    assert "canary" not in repr(form.request(None))


def test_a_network_of_wpa3_alone_is_refused_where_the_radio_cannot_do_it() -> None:
    beyond = Network(b"Home", security="wpa3", beyond=True)
    with pytest.raises(Refusal) as refused:
        JoinForm(network="486f6d65", password="long enough").request(beyond)
    assert refused.value.code == "NET-124"


async def test_its_form_says_so_before_a_password_is_typed(phone: Phone, station: FakeStation) -> None:
    async def heard(rescan: bool = False) -> list[Network]:
        return [Network(b"Home", 80, "wpa3", "2.4", beyond=True)]

    station.networks = heard  # type: ignore[method-assign]
    page = await phone.open("/setup?network=486f6d65")
    assert page.status == 200
    assert "which the station's radio cannot do" in page.text
    assert "WPA2 and WPA3 (mixed mode)" in page.text
