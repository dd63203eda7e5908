"""The pages in Debian's Chromium: clicked through once for real, with a station over real HTTP beside it."""

from __future__ import annotations

import io
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cloud.security.vault import Secrets
from protocol.codes import parse_claim_code
from protocol.messages import CameraInfo, CommandAck, DeviceInfo, NetworkInfo
from tests.cloud.cloud_server import Cloud, Person, running_cloud
from tests.cloud.people_browser import NO_SOCKETS, Reader
from tests.cloud.people_parts import Clock
from tests.cloud.station_client import Station
from tests.conftest import BrowserFactory

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

ADA = "ada@example.org"


@pytest.fixture
async def real_time_cloud(tmp_path: Path, secrets: Secrets) -> AsyncIterator[Cloud]:
    """A cloud whose clock agrees with the browser's."""
    clock = Clock(time.time_ns() // 1_000_000)
    async with running_cloud(tmp_path / "cloud", secrets, clock) as cloud:
        await cloud.person(ADA)
        yield cloud


def picture() -> bytes:
    image = Image.radial_gradient("L").resize((320, 180)).convert("RGB")
    data = io.BytesIO()
    image.save(data, "JPEG")
    return data.getvalue()


async def show_picture(station: Station) -> None:
    file = picture()
    await station.reported(station.event(file))
    await station.upload(file)


async def test_adding_a_station_by_pin_and_watching_it_turn_green(
    real_time_cloud: Cloud, browsers: BrowserFactory
) -> None:
    reader, station = Reader(browsers(width=360), real_time_cloud), real_time_cloud.station()
    await reader.open("/")
    await reader.sign_in(ADA)
    await reader.sees("Add your first station")
    await reader.press("Add station")

    claim_id = await station.wait_on_card()
    wrong = "000000" if station.pin != "000000" else "111111"
    await reader.type(short_id=station.short_id.lower(), pin=wrong, name="Roof camera")
    await reader.press("Add station")
    await reader.sees("The PIN was not right")
    assert await reader.value("name") == "Roof camera"

    await reader.type(pin=station.pin)
    await reader.press("Add station")
    await reader.sees("Roof camera", "Issuing its certificate")

    # From here on nobody touches the page.
    await station.finish(claim_id)
    await reader.sees("The station is yours.")
    await station.beaten("operational")
    await reader.sees("Your station works.")
    await reader.until_has("h2 .tone.running circle")

    await reader.press("Open the station")
    await reader.sees("Running", "No events so far")
    await show_picture(station)
    await reader.sees_no_more("No events so far")
    await reader.until_has("#events img")
    await reader.until_true("document.querySelector('#events img').naturalWidth === 320")
    await reader.script("document.querySelector('#events a').click()")
    await reader.sees("What was seen", "Download")
    assert await reader.complaints() == []


async def test_the_event_page_shows_a_picture_that_comes_later(
    real_time_cloud: Cloud, browsers: BrowserFactory
) -> None:
    owner = await real_time_cloud.person()
    station = await real_time_cloud.claimed(owner)
    reader = Reader(browsers(), real_time_cloud)
    event = station.event(picture())
    await station.reported(event)
    await reader.open("/sign-in")
    await enter(reader, owner.headers["Cookie"])
    await reader.open(f"/stations/{station.device_id}/events/{event.event_id}")
    await reader.sees("1 file is still on its way")
    await station.upload(picture())
    await reader.sees_no_more("still on its way")
    await reader.until_has("img.photo")
    assert await reader.script("return document.querySelector('img.photo').decode().then(() => true)")


async def enter(reader: Reader, cookie: str) -> None:
    """Gives the browser a session that was opened elsewhere."""
    name, _, token = cookie.partition("=")
    await reader.do(lambda: reader.driver.add_cookie({"name": name, "value": token, "httpOnly": True}))


async def test_the_link_of_the_qr_code_survives_the_sign_in(
    real_time_cloud: Cloud, browsers: BrowserFactory
) -> None:
    reader, station = Reader(browsers(width=360), real_time_cloud), real_time_cloud.station()
    await station.wait_on_card()
    await reader.open(f"/claim#{station.short_id}.{station.link_secret}")
    await reader.sees("You scanned the code of a station.")
    assert await reader.script("return location.hash") == "", "the secret does not stay in the history"
    await reader.press("Sign in")
    await reader.sees("Your station is remembered")
    await reader.sign_in(ADA)

    await reader.sees("Read from the code of your station.")
    assert (await reader.value("short_id")).replace(" ", "") == station.short_id
    assert not await reader.has("#pin")
    await reader.type(name="Barn")
    await reader.press("Add station")
    await reader.sees("Barn", "Issuing its certificate")
    assert await reader.script("return sessionStorage.length") == 0
    assert await reader.complaints() == []


@pytest.mark.parametrize("fragment", ["BCDFGH", "BCDFGH.tooshort", "bcdfgh." + "a" * 22, "%E0%A4%A", "<b>"])
async def test_a_damaged_link_is_explained_and_the_form_is_there(
    real_time_cloud: Cloud, browsers: BrowserFactory, fragment: str
) -> None:
    reader = Reader(browsers(width=360), real_time_cloud)
    await reader.open("/sign-in?next=/account")
    await reader.sign_in(ADA)
    await reader.sees("Account")
    await reader.open(f"/claim#{fragment}")
    await reader.sees("The link is not complete.")
    assert await reader.has("#pin")


async def test_a_claim_code_page_follows_the_station_that_uses_it(
    real_time_cloud: Cloud, browsers: BrowserFactory
) -> None:
    reader, station = Reader(browsers(), real_time_cloud), real_time_cloud.station()
    await reader.open("/stations/add")
    await reader.sign_in(ADA)
    await reader.sees("Get a claim code instead")
    await reader.press("Get a claim code")
    await reader.sees("Hand the code to your station.")
    line = str(await reader.script("return document.getElementById('line').textContent"))
    code = parse_claim_code(line.removeprefix("meteor-appliance register ").strip("'"))
    station.take(await station.claim_with_token(code.token))
    await reader.sees("The station is yours.")
    await station.beaten("operational")
    await reader.sees("Your station works.")


async def test_the_fleet_page_learns_of_a_new_station_by_itself(
    real_time_cloud: Cloud, browsers: BrowserFactory
) -> None:
    owner = await real_time_cloud.person()
    reader = Reader(browsers(), real_time_cloud)
    await reader.open("/sign-in")
    await enter(reader, owner.headers["Cookie"])
    await reader.open("/")
    await reader.sees("Add your first station")
    station = await real_time_cloud.claimed(owner)
    await station.beaten("operational")
    await reader.sees("Running: 1", "Running", "Seen: 10 seconds ago")
    await station.beaten("error")
    await reader.sees("In trouble: 1", "Needs help")


async def ordered(owner: Person, station: Station) -> str:
    made = await owner.send("POST", f"{station.place}/commands", {"type": "locate"})
    assert made.status == 201, made
    return str(made.read(dict[str, Any])["id"])


async def test_an_orders_progress_appears_by_itself(real_time_cloud: Cloud, browsers: BrowserFactory) -> None:
    owner = await real_time_cloud.person()
    station = await real_time_cloud.claimed(owner)
    await station.beaten("operational")
    reader = Reader(browsers(width=360), real_time_cloud)
    await reader.open("/sign-in")
    await enter(reader, owner.headers["Cookie"])
    await reader.open(f"/stations/{station.device_id}")
    await reader.sees("Running")
    order = await ordered(owner, station)
    await reader.sees("Orders", "locate", "Not fetched yet")
    await station.beaten("operational", command_acks=[CommandAck(id=order, state="IN_PROGRESS")])
    await reader.sees("Being carried out")
    await station.beaten("operational", command_acks=[CommandAck(id=order, state="SUCCEEDED")])
    await reader.sees("Carried out")


async def test_news_exchange_only_what_they_change(real_time_cloud: Cloud, browsers: BrowserFactory) -> None:
    owner = await real_time_cloud.person()
    quiet, busy = await real_time_cloud.claimed(owner), await real_time_cloud.claimed(owner)
    await quiet.beaten("operational")
    await busy.beaten("operational")
    reader = Reader(browsers(), real_time_cloud)
    await reader.open("/sign-in")
    await enter(reader, owner.headers["Cookie"])
    await reader.open("/")
    await reader.sees("Running: 2")
    await reader.script(
        "document.querySelectorAll('#tiles > li').forEach((tile) => { tile.untouched = true; })"
    )
    await busy.beaten("error")
    await reader.sees("In trouble: 1")
    kept = f"document.getElementById('{quiet.device_id}').untouched"
    renewed = f"document.getElementById('{busy.device_id}').untouched"
    assert await reader.script(f"return [{kept} === true, {renewed} === undefined]") == [True, True]


async def test_where_sockets_are_blocked_the_page_asks_by_itself(
    real_time_cloud: Cloud, browsers: BrowserFactory
) -> None:
    reader, station = Reader(browsers(), real_time_cloud), real_time_cloud.station()
    await reader.do(
        lambda: reader.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": NO_SOCKETS})
    )
    await reader.open("/stations/add")
    await reader.sign_in(ADA)
    await reader.type(short_id=station.short_id, pin=station.pin)
    await reader.press("Add station")
    await reader.sees("Waiting for your station")
    await station.finish(await station.wait_on_card())
    await reader.sees("The station is yours.")
    await station.beaten("operational")
    await reader.sees("Your station works.")
    assert real_time_cloud.bus.listening() == 0


async def test_a_page_without_connection_says_that_it_is_stale_and_recovers(
    real_time_cloud: Cloud, browsers: BrowserFactory
) -> None:
    reader = Reader(browsers(), real_time_cloud)
    await reader.do(
        lambda: reader.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": NO_SOCKETS})
    )
    await reader.open("/")
    await reader.sign_in(ADA)
    await reader.sees("Add your first station")
    await offline(reader, True)
    await reader.sees("No connection to the cloud. What you see is from")
    await offline(reader, False)
    await reader.sees_no_more("No connection to the cloud.")


async def offline(reader: Reader, really: bool) -> None:
    await reader.do(lambda: reader.driver.execute_cdp_cmd("Network.enable", {}))
    speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    await reader.do(
        lambda: reader.driver.execute_cdp_cmd(
            "Network.emulateNetworkConditions", {"offline": really, **speed}
        )
    )


async def test_signing_out_in_one_tab_closes_the_other(
    real_time_cloud: Cloud, browsers: BrowserFactory
) -> None:
    reader = Reader(browsers(), real_time_cloud)
    await reader.open("/account")
    await reader.sign_in(ADA)
    await reader.sees("Sign out")
    first = await reader.do(lambda: reader.driver.current_window_handle)
    await reader.do(lambda: reader.driver.switch_to.new_window("tab"))
    await reader.open("/")
    await reader.sees("Add your first station")
    second = await reader.do(lambda: reader.driver.current_window_handle)
    await reader.do(lambda: reader.driver.switch_to.window(first))
    await reader.press("Sign out")
    await reader.sees("See your stations, and add new ones.")
    await reader.do(lambda: reader.driver.switch_to.window(second))
    await reader.sees("See your stations, and add new ones.")


async def test_without_javascript_the_claim_page_comes_again_by_itself(
    real_time_cloud: Cloud, browsers: BrowserFactory
) -> None:
    reader, station = (
        Reader(browsers(width=360, javascript=False), real_time_cloud),
        real_time_cloud.station(),
    )
    await reader.open(f"/claim#{station.short_id}.{station.link_secret}")
    await reader.sees("type the short id and the PIN that stand beside it")
    await reader.press("Sign in")
    await reader.sign_in(ADA)
    await reader.type(short_id=station.short_id, pin=station.pin)
    await reader.press("Add station")
    await reader.sees("Waiting for your station")
    await station.finish(await station.wait_on_card())
    await station.beaten("operational")
    await reader.sees("Your station works.")


async def test_what_a_person_types_is_not_swept_away_by_news(
    real_time_cloud: Cloud, browsers: BrowserFactory
) -> None:
    owner = await real_time_cloud.person()
    station = await real_time_cloud.claimed(owner)
    reader = Reader(browsers(), real_time_cloud)
    await reader.open("/sign-in")
    await enter(reader, owner.headers["Cookie"])
    await reader.open(f"/stations/{station.device_id}")
    await reader.script("document.querySelector('form[action$=name]').closest('details').open = true")
    await reader.type(name="A new na")
    await station.beaten("operational")
    await reader.sees("Running")
    assert await reader.value("name") == "A new na"


SMALL_TARGETS = """
    const targets = document.querySelectorAll("main button, main .button, main input:not([type=hidden])");
    const small = (one) => one.checkVisibility() && one.getBoundingClientRect().height < 47.9;
    return [...targets].filter(small).length;
"""
SIZES = [(360, "light"), (1280, "dark")]


@pytest.mark.parametrize(("width", "scheme"), SIZES)
async def test_no_page_is_wider_than_the_screen_or_complains(
    real_time_cloud: Cloud, browsers: BrowserFactory, width: int, scheme: str
) -> None:
    owner = await real_time_cloud.person()
    station = await real_time_cloud.claimed(owner)
    event = station.event(picture(), metadata={"long": "x" * 300, "n" * 60: 1})
    await station.reported(event)
    await station.upload(picture())
    order = await ordered(owner, station)
    await station.beaten(
        "operational",
        device_info=DeviceInfo(
            model="M" * 200,
            firmware_version="1.0",
            capabilities=["c" * 60],
            camera_info=CameraInfo(model="c" * 200, resolution="1920x1080", frame_rate=29.97),
        ),
        network_info=NetworkInfo(connection_type="wifi", mac_address="dc:a6:32:0a:0b:0c"),
        command_acks=[CommandAck(id=order, state="FAILED", detail="x" * 300)],
    )
    claim_id = await owner.named(short_id="BCDFGH", pin="123456", name="W" * 80)

    reader = Reader(browsers(width=width), real_time_cloud)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    await reader.do(
        lambda: reader.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    )
    await reader.open("/sign-in")
    await enter(reader, owner.headers["Cookie"])
    place = f"/stations/{station.device_id}"
    paths = ("/", "/stations/add", "/account", "/nothing", place, f"{place}/events/{event.event_id}")
    for path in (*paths, f"/claims/{claim_id}"):
        await reader.open(path)
        await reader.until_has("h1")
        await reader.script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        too_wide = await reader.script(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert too_wide <= 0, path
        small = await reader.script(SMALL_TARGETS)
        assert small == 0, path
        assert await reader.complaints() == [], path
