"""A person with a phone and no JavaScript takes a station from the hotspot to the claim card."""

from __future__ import annotations

from dataclasses import replace

import pytest

from portal.fakes import IN_SETUP, RUNNING, FakeStation, failed_attempt
from portal.sentences import refusal
from portal.view import Account, FixedAddress, JoinRequest, Network, NetworkInfo
from tests.portal.phone import Page, Phone

HOSTILE = {
    "not UTF-8": b"\xff\xfe\x80caf\xe9",
    "quotes and markup": b"\"'><script>alert(1)</script>",
    "colon and backslash": b"a:b\\:c;d,e",
    "32 octets of two-byte letters": ("é" * 16).encode(),
    "right-to-left override": "x\u202egnp.exe".encode(),
    "leading and trailing spaces": b"  spaces  ",
    "template and format marks": b"{{7*7}}%(x)s%s${x}",
    "control characters": b"a\r\nSet-Cookie: x=1",
    "emoji": "📡 🌠".encode(),
    "a query of its own": b"?network=other&x=#frag",
}


async def choose(phone: Phone, name: str) -> Page:
    return await phone.follow(await phone.open("/"), name)


async def test_wrong_password_then_right_one_then_the_card(phone: Phone, station: FakeStation) -> None:
    form = await choose(phone, "Home-5G")
    progress = await phone.send(form, "/setup/join", password="wrong password")
    assert progress.path == "/progress"
    assert progress.refresh == 3
    assert "usually takes 20 to 40 seconds" in progress.text

    await station.settle()
    failed = await phone.open(progress.path)
    assert "The password for \u2068Home-5G\u2069 was not accepted." in failed.text
    assert "NET-001" in failed.text
    assert failed.form("/setup/join").fields["network"] == b"Home-5G".hex()
    assert "wrong password" not in failed.html

    await phone.send(failed, "/setup/join", password="correct horse")
    await station.settle()
    card = await phone.open("/progress")
    assert card.path == "/claim"
    assert "482 913" in card.text
    assert "4 8 2 9 1 3" in card.text
    assert "cloud.example.org/claim" in card.text

    await station.show(RUNNING)
    assert (await phone.open("/claim")).path == "/status"


async def test_the_answer_waits_for_a_phone_that_comes_back_through_a_probe(
    phone: Phone, station: FakeStation, address: str
) -> None:
    await station.show(IN_SETUP, attempt=failed_attempt("NET-001", b"Home-5G"))
    headers = {"Host": "captive.apple.com"}
    probe = phone.session.get(f"{address}/hotspot-detect.html", headers=headers, allow_redirects=False)
    async with probe as response:
        page = await phone.open(response.headers["Location"])
    assert "was not accepted" in page.text


@pytest.mark.parametrize("ssid", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_name_survives_to_the_radio_and_harms_no_page(
    phone: Phone, station: FakeStation, ssid: bytes
) -> None:
    station.nearby = [Network(ssid, 60)]
    station.passwords = {ssid: "correct horse"}
    listing = await phone.open("/setup")
    assert "<script>alert" not in listing.html
    href = next(href for href, _ in listing.links if ssid.hex() in href)

    form = await phone.open(href)
    assert form.form("/setup/join").fields["network"] == ssid.hex()
    await phone.send(form, "/setup/join", password="wrong password")
    await station.settle()
    failed = await phone.open("/progress")
    assert "NET-001" in failed.text
    assert "<script>alert" not in failed.html
    assert "\u202e" not in failed.html

    await phone.send(failed, "/setup/join", password="correct horse")
    assert station.asked[-1] == ("join", JoinRequest(ssid, "correct horse", False, "wpa2"))
    await station.settle()
    assert station.snapshot().network.online
    assert "<script>alert" not in (await phone.open("/status")).html


@pytest.mark.parametrize("ssid", ["Hidden net", "Ünïcode 家", "a:b\"c'd<e>", "x" * 32])
async def test_a_hidden_network_is_typed_by_hand(phone: Phone, station: FakeStation, ssid: str) -> None:
    form = await choose(phone, "Other network")
    await phone.send(form, "/setup/join", name=ssid, password="correct horse", security="wpa3")
    assert station.asked == [("join", JoinRequest(ssid.encode(), "correct horse", True, "wpa3"))]


async def test_a_hidden_network_that_failed_is_tried_again_as_hidden(
    phone: Phone, station: FakeStation
) -> None:
    form = await choose(phone, "Other network")
    await phone.send(form, "/setup/join", name="Hidden", password="correct horse", security="wpa3")
    await station.settle()
    await phone.send(await phone.open("/progress"), "/setup/join", password="better horse")
    assert station.asked[-1] == ("join", JoinRequest(b"Hidden", "better horse", True, "wpa3"))


async def test_an_open_network_is_joined_without_a_password_and_with_a_warning(
    phone: Phone, station: FakeStation
) -> None:
    form = await choose(phone, "Café Ωmega")
    assert "everyone near it can join" in form.text
    assert "password" not in form.form("/setup/join").fields
    await phone.send(form, "/setup/join")
    assert station.asked == [("join", JoinRequest("Café Ωmega".encode(), None, False, "open"))]


async def test_a_company_login_is_joined_without_javascript(phone: Phone, station: FakeStation) -> None:
    form = await choose(phone, "eduroam")
    typed = {"identity": "me@example.org", "password": "pass", "domain": "radius.example.org"}
    refused = await phone.send(form, "/setup/join", **(typed | {"domain": ""}))
    assert "NET-117" in refused.text
    assert refused.form("/setup/join").fields["identity"] == "me@example.org", "the rest is still filled in"
    await phone.send(refused, "/setup/join", **typed)
    account = Account("me@example.org", "peap", domain="radius.example.org")
    assert station.asked == [("join", JoinRequest(b"eduroam", "pass", False, "enterprise", account=account))]


async def test_a_fixed_address_is_taken_with_any_network(phone: Phone, station: FakeStation) -> None:
    form = await choose(phone, "Home-5G")
    typed = {"password": "correct horse", "address": "192.168.1.50/24", "gateway": "192.168.2.1"}
    refused = await phone.send(form, "/setup/join", **typed)
    assert "NET-119" in refused.text
    assert "192.168.1.0/24" in refused.text
    await phone.send(refused, "/setup/join", **(typed | {"gateway": "192.168.1.1"}))
    fixed = FixedAddress("192.168.1.50/24", "192.168.1.1", ("192.168.1.1",))
    assert station.asked[-1][1].fixed == fixed


async def test_a_fault_is_shown_beside_its_field_with_the_rest_still_filled_in(
    phone: Phone, station: FakeStation
) -> None:
    form = await choose(phone, "Other network")
    again = await phone.send(
        form,
        "/setup/join",
        name='My "net"',
        security="wpa3",
        password="canary-password ",
        claim_code="mct_abcdef",
    )
    assert again.status == 422
    assert 'aria-describedby="password-wrong"' in again.html
    assert "NET-108" in again.text
    fields = again.form("/setup/join").fields
    assert (fields["name"], fields["security"], fields["claim_code"]) == ('My "net"', "wpa3", "mct_abcdef")
    assert fields["password"] == ""
    assert "canary-password" not in again.html
    assert station.asked == []
    await phone.send(again, "/setup/join", password="canary-password ", as_typed="1")
    assert station.asked[-1] == ("join", JoinRequest(b'My "net"', "canary-password ", True, "wpa3"))


async def test_what_the_station_refuses_is_shown_on_the_form(phone: Phone, station: FakeStation) -> None:
    form = await choose(phone, "Home-5G")
    station.refuse = refusal("WEB-008")
    again = await phone.send(form, "/setup/join", password="correct horse")
    assert "WEB-008" in again.text
    assert again.form("/setup/join").fields["network"] == b"Home-5G".hex()


async def test_a_claim_code_goes_with_the_network(phone: Phone, station: FakeStation) -> None:
    form = await choose(phone, "Home-5G")
    await phone.send(form, "/setup/join", password="correct horse", claim_code=" mct_abcdef ")
    assert [name for name, _ in station.asked] == ["claim code", "join"]
    assert station.asked[0] == ("claim code", "mct_abcdef")


async def test_a_wrong_claim_code_keeps_the_phone_on_the_hotspot(phone: Phone, station: FakeStation) -> None:
    form = await choose(phone, "Home-5G")
    again = await phone.send(form, "/setup/join", password="correct horse", claim_code="two words")
    assert "NET-112" in again.text
    assert station.asked == []


async def test_a_claim_code_can_be_given_on_the_card(phone: Phone, station: FakeStation) -> None:
    form = await phone.follow(await phone.open("/claim"), "I have a claim code")
    assert form.refresh is None
    again = await phone.send(form, "/claim/code", claim_code="x y")
    assert (again.status, again.form("/claim/code").fields["claim_code"]) == (422, "x y")
    taken = await phone.send(again, "/claim/code", claim_code="mct_abcdef")
    assert "The code is kept" in taken.text
    assert station.asked == [("claim code", "mct_abcdef")]


async def test_searching_again_asks_the_radio_and_shows_the_list(phone: Phone, station: FakeStation) -> None:
    listing = await phone.send(await phone.open("/setup"), "/setup/scan")
    assert listing.path == "/setup"
    assert station.asked == [("rescan", None)]


async def test_a_try_can_be_stopped(phone: Phone, station: FakeStation) -> None:
    form = await choose(phone, "Home-5G")
    progress = await phone.send(form, "/setup/join", password="correct horse")
    assert (await phone.send(progress, "/setup/cancel")).path == "/setup"
    assert station.asked[-1] == ("cancel", None)


async def test_a_radio_that_does_not_answer_leaves_the_typed_name(phone: Phone, station: FakeStation) -> None:
    async def broken(rescan: bool = False) -> tuple[Network, ...]:
        raise refusal("WEB-008")

    station.networks = broken  # type: ignore[method-assign]
    listing = await phone.open("/setup")
    assert "WEB-008" in listing.text
    assert (await phone.follow(listing, "Other network")).status == 200


async def test_a_claimed_station_that_lost_its_network_says_that_it_goes_on(
    phone: Phone, station: FakeStation
) -> None:
    rescue = replace(RUNNING, state="setup", phase="setup", hotspot=True, network=NetworkInfo())
    await station.show(rescue)
    listing = await phone.open("/")
    assert "goes on recording and keeps everything" in listing.text
    assert "claim" not in (await phone.follow(listing, "Home-5G")).form("/setup/join").fields


@pytest.mark.parametrize(
    ("state", "phase", "path"),
    [
        ("uninitialized", "setup", "/progress"),
        ("initializing", "setup", "/progress"),
        ("setup", "setup", "/setup"),
        ("configuring", "configuring", "/setup"),
        ("connecting", "configuring", "/progress"),
        ("network_ready", "claiming", "/claim"),
        ("claiming", "claiming", "/claim"),
        ("activating", "claiming", "/claim"),
        ("operational", "operational", "/status"),
        ("reconnecting", "operational", "/status"),
        ("updating", "operational", "/status"),
        ("error", "error", "/status"),
        ("halted", "halted", "/status"),
    ],
)
async def test_the_start_leads_to_the_page_of_the_moment(
    phone: Phone, station: FakeStation, state: str, phase: str, path: str
) -> None:
    await station.show(state=state, phase=phase)
    page = await phone.open("/")
    assert (page.path, page.status) == (path, 200)
