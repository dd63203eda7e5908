"""After a failed attempt with an account the form comes back filled in, but for the password."""

from __future__ import annotations

import pytest

from portal.accounts import Extras
from portal.drafts import KEPT_S, Drafts
from portal.fakes import FakeStation
from portal.view import Network
from tests.portal.phone import Page, Phone
from tests.portal.test_accounts import GOOD

TYPED = Extras("anna@example.org", "ttls", "guest@example.org", "PEM", "radius.example.org")


def test_a_draft_is_for_one_phone_and_one_network_and_ends() -> None:
    drafts = Drafts()
    drafts.keep("10.42.0.5", b"Campus", TYPED, 100.0)
    assert drafts.of("10.42.0.5", b"Campus", 100.0 + KEPT_S) == TYPED
    assert drafts.of("10.42.0.6", b"Campus", 100.0) == Extras()
    assert drafts.of("10.42.0.5", b"Campus 2", 100.0) == Extras()
    assert drafts.of("10.42.0.5", b"Campus", 100.1 + KEPT_S) == Extras()
    assert not drafts._kept, "what has ended is not kept any longer"


def test_a_draft_is_forgotten_when_the_way_is_over_and_there_are_never_many() -> None:
    drafts = Drafts()
    for number in range(Drafts.MAX_CLIENTS + 1):
        drafts.keep(f"10.42.0.{number}", b"Campus", TYPED, 0.0)
    assert drafts.of("10.42.0.0", b"Campus", 0.0) == Extras()
    drafts.forget("10.42.0.1")
    drafts.forget("10.42.0.1")
    assert drafts.of("10.42.0.1", b"Campus", 0.0) == Extras()
    assert drafts.of("10.42.0.2", b"Campus", 0.0) == TYPED


SECRET = "correct horse battery"
FILLED = {
    "identity": GOOD["identity"],
    "method": "ttls",
    "anonymous": "guest@example.org",
    "domain": "radius.example.org",
}


async def failed(phone: Phone, station: FakeStation, **fields: str) -> Page:
    """The page that a phone comes back to."""
    form = await phone.open(f"/setup?network={b'Campus'.hex()}")
    answer = await phone.send(form, "/setup/join", **FILLED, **fields)
    assert station.asked[-1][0] == "join", answer.text
    await station.settle()
    return await phone.open("/progress")


@pytest.fixture(autouse=True)
def campus(station: FakeStation) -> None:
    station.passwords[b"Campus"] = "another"
    station.nearby = [Network(b"Campus", 60, "enterprise"), Network(b"Home", 70)]


async def test_the_account_is_in_the_form_again_and_the_password_is_not(
    phone: Phone, station: FakeStation
) -> None:
    page = await failed(phone, station, password=SECRET, unchecked="1")
    for _ in range(2):
        fields = page.form("/setup/join").fields
        assert {name: fields[name] for name in ("identity", "anonymous", "domain", "method")} == {
            "identity": FILLED["identity"],
            "anonymous": "guest@example.org",
            "domain": "radius.example.org",
            "method": "ttls",
        }
        assert fields["password"] == ""
        assert SECRET not in page.html
        assert 'name="unchecked" value="1" checked' in page.html
        page = await phone.open(f"/setup?network={b'Campus'.hex()}")


async def test_another_network_and_a_network_without_its_form_have_nothing_of_it(
    phone: Phone, station: FakeStation
) -> None:
    await failed(phone, station, password=SECRET)
    for network in (b"Home".hex(), "other", "zz"):
        page = await phone.open(f"/setup?network={network}")
        assert FILLED["identity"] not in page.html
        assert 'radius.example.org"' not in page.html.replace('placeholder="radius.example.org"', "")


async def test_another_phone_has_an_empty_form(
    address: str, phone: Phone, station: FakeStation, monkeypatch: pytest.MonkeyPatch
) -> None:
    await failed(phone, station, password=SECRET)
    monkeypatch.setattr("portal.context.client", lambda _request: "10.42.0.99")
    page = await phone.open("/progress")
    assert page.form("/setup/join").fields["identity"] == ""
    assert FILLED["identity"] not in page.html
