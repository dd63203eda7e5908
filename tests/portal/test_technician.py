"""The technician's page: what the PIN opens, for whom and how long, and that nothing opens without it."""

from __future__ import annotations

import logging
import re

import aiohttp
import pytest

from portal.fakes import PIN, RUNNING, WAITING_FOR_CLAIM, FakeStation
from portal.pages.technician import ACTIONS, digits
from portal.sentences import refusal
from portal.server import create_app, serving
from portal.settings import PortalSettings
from portal.view import Recording, Refusal, Snapshot
from tests.portal.phone import Page, Phone
from tests.portal.test_security import TECHNICIANS, post


async def enter(phone: Phone, pin: str = PIN) -> Page:
    return await phone.send(await phone.open("/technician"), "/technician", pin=pin)


@pytest.fixture(autouse=True)
async def running(station: FakeStation) -> None:
    await station.show(RUNNING)


def test_every_action_has_its_form_on_the_list() -> None:
    assert sorted(ACTIONS) == sorted(TECHNICIANS)


@pytest.mark.parametrize(
    ("path", "asked", "says"),
    [
        ("/technician/locate", ("locate", None), "blinks now"),
        ("/technician/retry", ("retry", None), "tries to send now"),
        ("/technician/test", ("test", None), "The cloud did not answer in time."),
        ("/technician/restart", ("restart", None), "comes back by itself"),
    ],
)
async def test_the_pin_opens_what_a_technician_needs(
    phone: Phone, station: FakeStation, path: str, asked: tuple[str, None], says: str
) -> None:
    page = await phone.send(await enter(phone), path)
    assert (page.status, station.asked[-1]) == (200, asked)
    assert says in page.text


async def test_one_pin_is_enough_for_one_thing_after_the_other(phone: Phone, station: FakeStation) -> None:
    page = await enter(phone)
    for _ in range(12):
        page = await phone.send(page, "/technician/retry")
    assert [name for name, _ in station.asked] == ["pin", *["retry"] * 12]


async def test_the_results_of_a_test_are_words_with_shapes(phone: Phone) -> None:
    page = await phone.send(await enter(phone), "/technician/test")
    assert "Network The station is connected by cable." in page.text
    assert re.search(r'data-tone="failed".*The cloud did not answer in time', page.html)


async def test_the_support_bundle_is_a_file(address: str, phone: Phone) -> None:
    page = await enter(phone)
    async with phone.session.post(
        f"{address}/support-bundle", data=page.form("/support-bundle").fields
    ) as answer:
        assert answer.headers["Content-Disposition"] == 'attachment; filename="meteor-KXPMVT-support.tar.gz"'
        assert (answer.content_type, answer.headers["Cache-Control"]) == ("application/gzip", "no-store")
        assert (await answer.read()).startswith(b"\x1f\x8b")


async def test_the_last_picture_is_shown_to_technicians_alone_and_kept_by_nobody(
    address: str, phone: Phone, station: FakeStation
) -> None:
    page = await enter(phone)
    data = page.form("/technician/picture").fields
    async with phone.session.post(f"{address}/technician/picture", data=data) as answer:
        assert (answer.content_type, await answer.read()) == ("image/png", b"\x89PNG played")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    await station.show(RUNNING, recording=Recording())
    actions = [form.action for form in (await enter(phone)).forms]
    assert "/technician/picture" not in actions, "there is none"


@pytest.mark.parametrize(("events", "purge"), [("keep", False), ("remove", True), ("", False)])
async def test_a_reset_needs_the_short_id_typed_by_hand(
    phone: Phone, station: FakeStation, events: str, purge: bool
) -> None:
    page = await enter(phone)
    assert page.form("/technician/reset").fields["short_id"] == ""
    for wrong in ("", "yes", "KXPMV"):
        page = await phone.send(page, "/technician/reset", short_id=wrong, events=events)
        assert (page.status, "WEB-012" in page.text) == (422, True)
        assert 'aria-describedby="short_id-wrong"' in page.html
    assert [name for name, _ in station.asked] == ["pin"]
    done = await phone.send(page, "/technician/reset", short_id=" kxpmvt ", events=events)
    assert (done.status, station.asked[-1]) == (200, ("reset", purge))
    assert "The station starts over" in done.text


async def test_networks_are_forgotten_only_after_the_short_id_was_typed(
    phone: Phone, station: FakeStation
) -> None:
    page = await enter(phone)
    page = await phone.send(page, "/technician/reset", short_id="", networks="forget")
    assert "WEB-012" in page.text
    assert [name for name, _ in station.asked] == ["pin"]
    done = await phone.send(page, "/technician/reset", short_id="KXPMVT", networks="forget")
    assert (done.status, station.asked[-1]) == (200, ("forget", None))
    assert "The station forgets its networks" in done.text
    assert "Owner" not in done.text


async def test_a_page_of_a_restart_leads_back_without_a_script_too(phone: Phone) -> None:
    page = await phone.send(await enter(phone), "/technician/restart")
    assert 'content="30;url=/status"' in page.html
    assert page.link("Look again") == "/status"
    assert "technician" not in [name for form in page.forms for name in form.fields]


@pytest.mark.parametrize("pin", ["739106", "73910", "7391055", "", "abcdef", "７３９１０６", "²²²²²²"])
async def test_a_wrong_pin_is_a_clear_error_at_its_field(
    phone: Phone, station: FakeStation, pin: str
) -> None:
    page = await enter(phone, pin)
    assert (page.status, "WEB-009" in page.text) == (403, True)
    assert 'aria-describedby="pin-wrong"' in page.html
    assert page.form("/technician").fields["pin"] == ""
    assert [form.action for form in page.forms] == ["/language", "/technician"]


@pytest.mark.parametrize("typed", [PIN, " 739 105 ", "739-105", "٧٣٩١٠٥", "７３９１０５"])
def test_a_pin_may_be_typed_as_people_and_keyboards_do(typed: str) -> None:
    assert digits(typed) == PIN


async def test_what_cannot_be_a_pin_costs_no_try(phone: Phone, station: FakeStation) -> None:
    await enter(phone, "12345")
    assert station.asked == []


async def test_whoever_must_wait_is_told_how_long(phone: Phone, station: FakeStation) -> None:
    page = await phone.open("/technician")
    station.refuse = refusal("WEB-010", field="pin", minutes="15")
    page = await phone.send(page, "/technician", pin=PIN)
    assert (page.status, "Minutes to wait: \u206815\u2069." in page.text) == (429, True)


@pytest.mark.parametrize("path", TECHNICIANS)
@pytest.mark.parametrize("bad", ["", "1.2", "9999999999.00", "é", "the form's"])
async def test_without_the_token_of_the_pin_nothing_is_done(
    address: str, station: FakeStation, phone: Phone, path: str, bad: str
) -> None:
    page = await phone.open("/technician")
    form = page.form("/technician").fields["token"]
    data = {"token": form, "technician": form if bad == "the form's" else bad, "short_id": "KXPMVT"}
    status, body, headers = await post(address, path, data)
    assert (status, station.asked) == (403, [])
    assert "WEB-011" in body
    assert "Set-Cookie" not in headers


async def test_the_token_of_the_pin_is_no_token_of_a_form(
    address: str, station: FakeStation, phone: Phone
) -> None:
    token = (await enter(phone)).form("/technician/retry").fields["technician"]
    status, _, _ = await post(address, "/setup/scan", {"token": token})
    assert (status, [name for name, _ in station.asked]) == (403, ["pin"])


@pytest.mark.parametrize("path", TECHNICIANS)
async def test_the_token_of_another_client_opens_nothing(
    station: FakeStation, address: str, phone: Phone, path: str
) -> None:
    token = (await enter(phone)).form("/technician/retry").fields["technician"]
    data = {"technician": token, "short_id": "KXPMVT"}
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with (
        aiohttp.ClientSession(connector=connector) as stranger,
        stranger.post(address + path, data=data) as answer,
    ):
        assert (answer.status, "WEB-011" in await answer.text()) == (403, True)
    assert [name for name, _ in station.asked] == ["pin"]


async def test_a_session_ends_after_a_quarter_of_an_hour_without_a_press(station: FakeStation) -> None:
    clock = 0.0
    app = create_app(station, now=lambda: clock)
    async with serving(app, "127.0.0.1", 0) as address, Phone(address) as phone:
        page = await enter(phone)
        clock = 899.0
        page = await phone.send(page, "/technician/retry")
        clock = 1700.0
        page = await phone.send(page, "/technician/retry")
        assert page.status == 200
        clock = 2601.0
        late = await phone.send(page, "/technician/retry")
        assert (late.status, "WEB-011" in late.text) == (403, True)
        assert (await phone.send(late, "/technician", pin=PIN)).status == 200
    assert [name for name, _ in station.asked] == ["pin", "retry", "retry", "pin"]


async def test_a_session_does_not_outlive_the_program(station: FakeStation) -> None:
    async with serving(create_app(station), "127.0.0.1", 0) as address, Phone(address) as phone:
        data = (await enter(phone)).form("/technician/retry").fields
    async with serving(create_app(station), "127.0.0.1", 0) as address:
        assert (await post(address, "/technician/retry", data))[0] == 403


async def test_tries_of_the_pin_are_limited_before_the_station_looks_at_them(
    address: str, phone: Phone, station: FakeStation
) -> None:
    data = {"token": (await phone.open("/technician")).form("/technician").fields["token"], "pin": "000000"}
    statuses = [(await post(address, "/technician", data))[0] for _ in range(12)]
    assert statuses == [403] * 10 + [429] * 2
    assert len(station.asked) == 10


@pytest.mark.parametrize("snapshot", [RUNNING, WAITING_FOR_CLAIM], ids=["running", "unclaimed"])
async def test_the_pin_and_its_token_stand_on_no_other_page_and_in_no_link(
    station: FakeStation, phone: Phone, caplog: pytest.LogCaptureFixture, snapshot: Snapshot
) -> None:
    caplog.set_level(logging.DEBUG)
    await station.show(snapshot)
    page = await enter(phone)
    token = page.form("/technician/retry").fields["technician"]
    assert all(token not in href for href, _ in page.links)
    assert "?" not in "".join(form.action for form in page.forms)
    assert page.headers["Cache-Control"] == "no-store"
    for path in ("/status", "/technician", "/api/status", "/health", "/metrics", "/claim", "/"):
        other = await phone.open(path)
        assert PIN not in other.html
        assert token not in other.html
    assert PIN not in page.html
    assert PIN not in caplog.text
    assert token not in caplog.text


async def test_what_the_station_refuses_is_said_on_the_page(phone: Phone, station: FakeStation) -> None:
    page = await enter(phone)
    station.refuse = refusal("WEB-008")
    again = await phone.send(page, "/technician/test")
    assert "WEB-008" in again.text
    assert (await phone.send(again, "/technician/locate")).status == 200


async def test_the_language_can_be_changed_on_the_page(address: str, phone: Phone) -> None:
    assert (await enter(phone)).form("/language").fields["back"] == "/technician"


async def test_the_desk_is_small_in_every_language(station: FakeStation) -> None:
    app = create_app(station, settings=PortalSettings(pseudo_locales=True))
    async with serving(app, "127.0.0.1", 0) as address:
        for tag in ("en-XA", "ar", "ja", "de"):
            async with Phone(address, language=tag) as phone:
                page = await phone.send(await enter(phone), "/technician/test")
                assert page.language == tag
                assert len(page.html.encode()) < 20_000


def test_digits_refuses_what_is_no_pin() -> None:
    with pytest.raises(Refusal):
        digits("12345\u0665 7")
