"""The pages over real HTTP, read as a phone without JavaScript reads them: claims, stations, events."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import cv2
import numpy as np
import pytest

from protocol.messages import Backlog, BufferState, CameraInfo, Clock, CommandAck, DeviceInfo, NetworkInfo
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.people_client import Browsing, Page
from tests.cloud.people_parts import PASSWORD
from tests.cloud.station_client import Station

JPEG = b"\xff\xd8\xff\xe0" + b"meteor" * 200


def browsing(cloud: Cloud, person: Person) -> Browsing:
    return Browsing(cloud.session, cloud.base, person.headers)


def wrong_pin(station: Station) -> str:
    return "000000" if station.pin != "000000" else "111111"


async def start(station: Station, claim_id: str) -> None:
    """What a station does between its claim and its first heartbeat."""
    await station.finish(claim_id)
    await station.beaten("operational")


# --- empty and friendly -------------------------------------------------------------------------------------


async def test_an_empty_fleet_teaches_the_first_step(cloud: Cloud) -> None:
    page = await browsing(cloud, await cloud.person()).get("/")
    assert page.status == 200
    assert "Add your first station" in page.text
    assert 'href="/stations/add"' in page.html


async def test_a_cloud_without_accounts_says_how_to_make_one(cloud: Cloud) -> None:
    nobody = Browsing(cloud.session, cloud.base, {})
    assert "meteor-cloud create-user" in (await nobody.get("/")).text
    await cloud.person()
    assert "meteor-cloud create-user" not in (await nobody.get("/")).text


@pytest.mark.parametrize("path", ["/nothing", "/stations/dev_1/nothing", "/static/nothing.css", "/claims/"])
async def test_an_unknown_page_is_a_friendly_one(cloud: Cloud, path: str) -> None:
    page = await browsing(cloud, await cloud.person()).get(path)
    assert page.status == 404
    assert "There is nothing here for you" in page.text
    assert "Content-Security-Policy" in page.headers


async def test_a_wrong_method_is_explained(cloud: Cloud) -> None:
    page = await browsing(cloud, await cloud.person()).post("/")
    assert page.status == 405
    assert "That does not work here" in page.text


# --- adding by PIN ------------------------------------------------------------------------------------------


async def test_adding_by_pin_before_the_station_is_online(cloud: Cloud) -> None:
    pages, station = browsing(cloud, await cloud.person()), cloud.station()
    page = await pages.post("/stations/add", short_id=station.short_id, pin=station.pin, name="Roof camera")
    assert re.fullmatch(r"/claims/clm_\w{26}", page.address)
    assert "Roof camera" in page.text
    assert "Waiting for your station" in page.text
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page.html
    assert "Being added" in (await pages.get("/")).text

    claim_id = await station.wait_on_card()
    assert "Issuing its certificate" in (await pages.get(page.address)).text
    await station.finish(claim_id)
    assert "Starting" in (await pages.get(page.address)).html.split("</h2>")[0]
    await station.beaten("operational")

    done = await pages.get(page.address)
    assert "Your station works." in done.text
    assert f'href="/stations/{station.device_id}"' in done.html
    assert "refresh" not in done.html, "nothing will change any more"
    fleet = await pages.get("/")
    assert "Being added" not in fleet.text
    assert "Roof camera Running" in fleet.text


@pytest.mark.parametrize("typed", ["{0}", " {1} ", "meteor-{1}", "{2}"])
async def test_the_short_id_may_be_typed_as_it_is_read(cloud: Cloud, typed: str) -> None:
    pages, station = browsing(cloud, await cloud.person()), cloud.station()
    await station.wait_on_card()
    code = station.short_id
    text = typed.format(code, code.lower(), f"{code[:3]}-{code[3:]}")
    page = await pages.post("/stations/add", short_id=text, pin=f"{station.pin[:3]} {station.pin[3:]}")
    assert "Issuing its certificate" in page.text


async def test_a_wrong_pin_says_so_and_offers_the_form_again_filled(cloud: Cloud) -> None:
    pages, station = browsing(cloud, await cloud.person()), cloud.station()
    await station.wait_on_card()
    page = await pages.post(
        "/stations/add", short_id=station.short_id, pin=wrong_pin(station), name="Roof camera"
    )
    assert "The PIN was not right" in page.text
    assert f'value="{station.short_id[:3]}\u00a0{station.short_id[3:]}"' in page.html
    assert 'value="Roof camera"' in page.html
    assert wrong_pin(station) not in page.html

    again = await pages.post(
        "/stations/add",
        short_id=f"{station.short_id[:3]}\u00a0{station.short_id[3:]}",
        pin=station.pin,
        name="Roof camera",
    )
    assert "Issuing its certificate" in again.text


async def test_five_wrong_pins_end_the_stations_card_and_the_page_says_what_to_do(cloud: Cloud) -> None:
    station = cloud.station()
    claim_id = await station.wait_on_card()
    for _ in range(5):
        guesser = browsing(cloud, await cloud.person())
        await guesser.post("/stations/add", short_id=station.short_id, pin=wrong_pin(station))
    assert (await station.validate(claim_id)).status == 410


async def test_too_many_tries_are_named_with_the_time_to_wait(cloud: Cloud) -> None:
    pages = browsing(cloud, await cloud.person())
    for _ in range(5):
        await pages.post("/stations/add", short_id="BCDFGH", pin="123456")
    page = await pages.post("/stations/add", short_id="BCDFGH", pin="123456", name="Roof")
    assert page.status == 429
    assert int(page.headers["Retry-After"]) >= 1
    assert "Try again in" in page.text
    assert "(REG-006)" in page.text
    assert 'value="Roof"' in page.html


@pytest.mark.parametrize(
    ("short_id", "pin", "name", "field", "sentence"),
    [
        ("", "123456", "", "short_id", "Type the short id of the station."),
        ("BCDFGH", "", "", "pin", "Type the PIN of the station."),
        ("AEIOUY", "123456", "", "short_id", "The short id has six letters"),
        ("BCDFG", "123456", "", "short_id", "The short id has six letters"),
        ("BCDFGH", "12345a", "", "pin", "The PIN has six digits"),
        ("BCDFGH", "１２３４５６", "", "pin", "The PIN has six digits"),
        ("BCDFGH", "123456", "n" * 81, "name", "A name has 1 to 80 characters."),
        ("BCDFGH", "123456", "a\x07b", "name", "A name has 1 to 80 characters."),
    ],
)
async def test_a_mistyped_field_is_marked_and_the_rest_kept(
    cloud: Cloud, short_id: str, pin: str, name: str, field: str, sentence: str
) -> None:
    pages = browsing(cloud, await cloud.person())
    page = await pages.post("/stations/add", short_id=short_id, pin=pin, name=name)
    assert 400 <= page.status < 500
    assert sentence in page.text
    marked = re.findall(r'<input id="(\w+)"[^>]* aria-invalid="true"', page.html)
    assert marked == [field]
    assert short_id in page.html
    assert not pin or f'value="{pin}"' not in page.html, "a PIN is typed anew"


async def test_cancelling_ends_the_waiting(cloud: Cloud) -> None:
    pages, station = browsing(cloud, await cloud.person()), cloud.station()
    page = await pages.post("/stations/add", short_id=station.short_id, pin=station.pin)
    ended = await pages.post(page.address + "/cancel")
    assert "Cancelled" in ended.text
    assert 'href="/stations/add"' in ended.html
    assert "Being added" not in (await pages.get("/")).text


async def test_a_station_that_does_not_come_within_15_minutes(cloud: Cloud) -> None:
    pages = browsing(cloud, await cloud.person())
    page = await pages.post("/stations/add", short_id="BCDFGH", pin="123456")
    cloud.clock.move(901)
    ended = await pages.get(page.address)
    assert "The station did not come" in ended.text
    assert "Start again" in ended.text


# --- adding by link and by token ----------------------------------------------------------------------------


async def test_the_link_of_the_qr_code_needs_no_pin(cloud: Cloud) -> None:
    pages, station = browsing(cloud, await cloud.person()), cloud.station()
    await station.wait_on_card()
    landing = await pages.get("/claim")
    assert "Add this station" in landing.text
    assert "data-claim" in landing.html
    page = await pages.post("/stations/add", short_id=station.short_id, link_secret=station.link_secret)
    assert "Issuing its certificate" in page.text


async def test_a_cut_link_is_explained(cloud: Cloud) -> None:
    pages = browsing(cloud, await cloud.person())
    page = await pages.post("/stations/add", short_id="BCDFGH", link_secret="cut")
    assert page.status == 422
    assert "The link is not complete." in page.text


async def test_the_landing_page_greets_a_stranger_and_leads_to_the_door(cloud: Cloud) -> None:
    await cloud.person()
    page = await Browsing(cloud.session, cloud.base, {}).get("/claim")
    assert (page.status, page.address) == (200, "/claim"), "a redirect would lose the link's secret"
    assert 'href="/sign-in?next=/claim"' in page.html
    assert "claim.js" in page.html


def scanned(page: Page) -> str:
    """The text of the page's QR code, read from a picture of its path."""
    size = int(re.search(r'class="qr" viewBox="0 0 (\d+) ', page.html)[1])  # type: ignore[index]
    picture = np.full((size, size), 255, np.uint8)
    for x, y, run in re.findall(r"M(\d+) (\d+)h(\d+)v1", page.html):
        picture[int(y), int(x) : int(x) + int(run)] = 0
    for scale in (6, 8, 5, 10, 3):  # this reader misses a good code now and then, at some sizes
        large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
        text, _, _ = cv2.QRCodeDetector().detectAndDecode(large)
        if text:
            return str(text)
    return ""


async def test_a_claim_code_is_shown_once_with_its_line_and_its_qr_code(cloud: Cloud) -> None:
    pages, station = browsing(cloud, await cloud.person()), cloud.station()
    page = await pages.post("/stations/code", name="Barn")
    line = re.search(
        r"meteor-appliance register '(METEOR1\|[^'<]*\|(mct_[A-Za-z0-9_-]{43})\|[0-9a-f]{64})'<", page.html
    )
    assert line
    token = ["", line[2]]
    assert scanned(page) == line[1]
    assert line[1].split("|")[1] == cloud.base
    assert page.headers["Cache-Control"] == "no-store"

    progress = re.search(r'data-source="(/claims/clm_\w{26})"', page.html)
    assert progress
    waiting = await pages.get(progress[1])
    assert "Hand the code to your station." in waiting.text
    assert token[1] not in waiting.html

    station.take(await station.claim_with_token(token[1]))
    await station.beaten("operational")
    assert "Your station works." in (await pages.get(progress[1])).text
    assert "Barn Running" in (await pages.get("/")).text


async def test_too_many_open_codes_are_refused_on_the_same_page(cloud: Cloud) -> None:
    pages = browsing(cloud, await cloud.person())
    for _ in range(5):
        assert (await pages.post("/stations/code")).status == 200
    page = await pages.post("/stations/code")
    assert page.status == 429
    assert "(REG-006)" in page.text


# --- stations -----------------------------------------------------------------------------------------------


async def test_a_station_page_tells_what_the_last_heartbeat_told(cloud: Cloud) -> None:
    person = await cloud.person()
    station = await cloud.claimed(person)
    pages = browsing(cloud, person)
    place = f"/stations/{station.device_id}"
    assert "Not heard from yet" in (await pages.get(place)).text

    await station.beaten(
        "operational",
        network_info=NetworkInfo(connection_type="ethernet", local_ip="10.1.2.3"),
        clock=Clock(synced=False, source="none", utc="2026-01-01T00:00:00Z", mono_ms=1),
        buffer=BufferState(breaker="open", high=Backlog(count=7, bytes=4_200, oldest_s=90)),
        firmware_version="9.8.7",
    )
    page = await pages.get(place)
    for words in (
        "Running",
        "Cable 10.1.2.3",
        "Paused after failures",
        "Not synchronised",
        "High 7 4.2 kB 1 min 30 s",
        "9.8.7",
        f"{station.short_id[:3]} {station.short_id[3:]}",
    ):
        assert words in page.text.replace("\u00a0", " "), words
    fleet = await pages.get("/")
    assert "7 messages wait to be sent" in fleet.text


async def test_a_station_page_tells_what_its_machine_is_and_where_its_key_lies(cloud: Cloud) -> None:
    person = await cloud.person()
    station = await cloud.claimed(person)
    page = await browsing(cloud, person).get(f"/stations/{station.device_id}")
    for words in ("Model Test board", "Memory –", "Camera –", "Frame rate –", "Key In a file"):
        assert words in page.text, words
    told = DeviceInfo(
        model="Raspberry Pi 5",
        firmware_version="2.0",
        total_memory=8_000_000_000,
        camera_info=CameraInfo(model="imx708"),
    )
    network = NetworkInfo(connection_type="wifi", mac_address="2c:cf:67:0a:0b:0d")
    await station.beaten(device_info=told, network_info=network)
    await station.beaten()
    page = await browsing(cloud, person).get(f"/stations/{station.device_id}")
    for words in (
        "Model Raspberry Pi 5",
        "Memory 8.0 GB",
        "Camera imx708",
        "2c:cf:67:0a:0b:0d",
        "Resolution –",
    ):
        assert words in page.text.replace("\u00a0", " "), words


async def test_a_station_page_shows_how_far_an_order_is(cloud: Cloud) -> None:
    person = await cloud.person()
    station = await cloud.claimed(person)
    pages, place = browsing(cloud, person), f"/stations/{station.device_id}"
    assert "Orders" not in (await pages.get(place)).text
    made = await person.send("POST", f"{station.place}/commands", {"type": "<b>locate"})
    order = made.read(dict[str, Any])["id"]
    assert "Not fetched yet" in (await pages.get(place)).text
    await station.beaten(command_acks=[CommandAck(id=order, state="IN_PROGRESS")])
    assert "Being carried out" in (await pages.get(place)).text
    await station.beaten(command_acks=[CommandAck(id=order, state="REJECTED", detail="x" * 4096)])
    page = await pages.get(place)
    assert "Refused by the station" in page.text
    assert "<b>locate" in page.text, "as text"
    assert "x" * 401 not in page.text


async def test_a_station_that_fell_silent_is_offline_and_not_green(cloud: Cloud) -> None:
    person = await cloud.person()
    station = await cloud.claimed(person)
    await station.beaten("operational")
    pages = browsing(cloud, person)
    cloud.clock.move(cloud.settings.offline_after + 1)
    page = await pages.get(f"/stations/{station.device_id}")
    assert "Offline" in page.text
    assert "When last heard" in page.text
    assert 'class="tone running' not in page.html
    assert "Offline: 1" in (await pages.get("/")).text


async def test_renaming_a_station(cloud: Cloud) -> None:
    person = await cloud.person()
    station = await cloud.claimed(person)
    pages = browsing(cloud, person)
    page = await pages.post(f"/stations/{station.device_id}/name", name="  Old   mill ")
    assert page.address == f"/stations/{station.device_id}"
    assert "<title>Old mill ·" in page.html
    bad = await pages.post(f"/stations/{station.device_id}/name", name=" ")
    assert bad.status == 400
    assert "A name has 1 to 80 characters." in bad.text
    assert "Old mill" in (await pages.get("/")).text


async def test_a_name_is_text_and_never_markup(cloud: Cloud) -> None:
    person = await cloud.person()
    station = await cloud.claimed(person)
    pages = browsing(cloud, person)
    name = "<script>alert('%s %(num)s {{7*7}}')</script>\"&"
    await pages.post(f"/stations/{station.device_id}/name", name=name)
    for path in ("/", f"/stations/{station.device_id}"):
        page = await pages.get(path)
        assert "<script>alert" not in page.html
        assert name in page.text


# --- events -------------------------------------------------------------------------------------------------


async def test_an_event_appears_with_its_picture_and_its_data(cloud: Cloud) -> None:
    person = await cloud.person()
    station = await cloud.claimed(person)
    pages = browsing(cloud, person)
    place = f"/stations/{station.device_id}"
    assert "No events so far" in (await pages.get(place)).text

    event = station.event(
        JPEG, confidence=0.93, duration_ms=818.0, metadata={"begin": {"az": 222.03}, "note": "<b>bright</b>"}
    )
    await station.reported(event)
    waiting = await pages.get(f"{place}/events/{event.event_id}")
    assert "1 file is still on its way from the station." in waiting.text
    assert "Files on their way" in (await pages.get(place)).text

    await station.upload(JPEG)
    address = f"/v1/devices/{station.device_id}/media/{hashlib.sha256(JPEG).hexdigest()}"
    page = await pages.get(f"{place}/events/{event.event_id}")
    assert f'<img class="photo" src="{address}"' in page.html
    assert f'href="{address}" download="0.jpg"' in page.html
    for words in ("93 %", "0.82 s", "begin.az 222.03", "<b>bright</b>"):
        assert words in page.text.replace("\u00a0", " "), words
    assert f'src="{address}"' in (await pages.get(place)).html
    assert f'src="{address}"' in (await pages.get("/")).html

    reply = await person.send("GET", address)
    assert (reply.status, reply.body) == (200, JPEG)
    assert reply.headers["Content-Type"] == "image/jpeg"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


async def test_notes_of_the_station_stand_in_its_log_and_not_among_the_events(cloud: Cloud) -> None:
    person = await cloud.person()
    station = await cloud.claimed(person)
    await station.reported(station.event(event_type="station_activated"))
    page = await browsing(cloud, person).get(f"/stations/{station.device_id}")
    assert "No events so far" in page.text
    assert "Station activated" in page.html.split("Log of the station")[1]


async def test_older_events_are_one_link_away(cloud: Cloud) -> None:
    person = await cloud.person()
    station = await cloud.claimed(person)
    events = [station.event() for _ in range(25)]
    for event in events:
        await station.reported(event)
    pages = browsing(cloud, person)
    newest = await pages.get(f"/stations/{station.device_id}")
    assert events[0].event_id not in newest.html
    link = re.search(r'href="(/stations/\w+\?before=\d+)"', newest.html)
    assert link
    older = await pages.get(link[1])
    assert events[0].event_id in older.html
    assert events[1].event_id not in older.html


@pytest.mark.parametrize("before", ["x", "-1", "1e9", "9" * 40, "²", ""])
async def test_a_bent_page_address_shows_the_newest(cloud: Cloud, before: str) -> None:
    person = await cloud.person()
    station = await cloud.claimed(person)
    page = await browsing(cloud, person).get(f"/stations/{station.device_id}?before={before}")
    assert page.status == 200


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "1969-07-20T20:17:40Z"]
)
async def test_an_event_from_a_wrong_clock_breaks_no_page(cloud: Cloud, moment: str) -> None:
    person = await cloud.person()
    station = await cloud.claimed(person)
    event = station.event(timestamp=moment)
    await station.reported(event)
    pages = browsing(cloud, person)
    for path in (
        "/",
        f"/stations/{station.device_id}",
        f"/stations/{station.device_id}/events/{event.event_id}",
    ):
        assert (await pages.get(path)).status == 200
    assert f'datetime="{moment[:19]}' in (await pages.get(f"/stations/{station.device_id}")).html


# --- what is not one's own ----------------------------------------------------------------------------------


def without_reference(page: Page, *names: str) -> str:
    text = page.html
    for name in (page.headers["X-Request-Id"], *names):
        text = text.replace(name, "")
    return re.sub(r'name="(csrf" content|back" value)="[^"]+"', "", text)


async def test_what_belongs_to_somebody_else_looks_like_what_does_not_exist(cloud: Cloud) -> None:
    owner, stranger = await cloud.person(), await cloud.person()
    station = await cloud.claimed(owner)
    event = station.event(JPEG)
    await station.reported(event)
    claim_id = await owner.named(short_id="BCDFGH", pin="123456")
    unknown = "dev_" + "0" * 26
    pages = browsing(cloud, stranger)
    pairs = [
        (f"/stations/{station.device_id}", f"/stations/{unknown}"),
        (
            f"/stations/{station.device_id}/events/{event.event_id}",
            f"/stations/{unknown}/events/{event.event_id}",
        ),
        (f"/claims/{claim_id}", "/claims/clm_" + "0" * 26),
    ]
    for foreign, missing in pairs:
        one, other = await pages.get(foreign), await pages.get(missing)
        assert one.status == other.status == 404
        assert without_reference(one) == without_reference(other)
    for path in (f"/stations/{station.device_id}/name", f"/claims/{claim_id}/cancel"):
        assert (await pages.post(path, name="Mine now")).status == 404
    assert "Mine now" not in (await browsing(cloud, owner).get("/")).text
    assert "Being added" in (await browsing(cloud, owner).get("/")).text


async def test_an_event_of_ones_other_station_is_not_on_this_one(cloud: Cloud) -> None:
    person = await cloud.person()
    one, other = await cloud.claimed(person), await cloud.claimed(person)
    event = one.event()
    await one.reported(event)
    page = await browsing(cloud, person).get(f"/stations/{other.device_id}/events/{event.event_id}")
    assert page.status == 404


# --- the account --------------------------------------------------------------------------------------------


async def test_a_new_name_is_shown_at_the_top(cloud: Cloud) -> None:
    pages = browsing(cloud, await cloud.person())
    page = await pages.post("/account/name", name="Ada  Lovelace")
    assert "Your name is saved." in page.text
    assert "Ada Lovelace" in page.text


async def test_a_weak_new_password_is_named(cloud: Cloud) -> None:
    page = await browsing(cloud, await cloud.person()).post(
        "/account/password", current=PASSWORD, new="password123"
    )
    assert page.status == 400
    assert "among the first that are guessed" in page.text
    assert re.findall(r'<input id="(\w+)"[^>]* aria-invalid="true"', page.html) == ["new"]
