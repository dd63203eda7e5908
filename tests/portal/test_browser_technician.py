"""The technician's page in a real browser: by keyboard, at 360 pixels, in languages, after a restart."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from language.pseudo import LONG
from portal import api
from portal.fakes import PIN, RUNNING, FakeStation
from portal.server import create_app, serving
from portal.settings import PortalSettings
from tests.conftest import BrowserFactory
from tests.portal.browsing import away, click, complaints, find, resize, scheme, speak, until
from tests.portal.test_accessibility import Keyboard, axe, findings
from tests.portal.test_browser import _BROKEN, _PALE, _SMALL, _TINY, _TOO_WIDE

pytestmark = pytest.mark.browser

__all__ = ["axe"]  # a fixture


@pytest.fixture(autouse=True)
async def running(station: FakeStation) -> None:
    await station.show(RUNNING)


async def press(driver: Chrome, path: str) -> None:
    await click(driver, f"form[action='{path}'] button")


async def enter(driver: Chrome, address: str, pin: str = PIN) -> None:
    await away(driver.get, f"{address}/technician")
    await away(lambda: find(driver, "#pin").send_keys(pin, Keys.ENTER))


async def inside(driver: Chrome) -> None:
    await until(driver, lambda d: find(d, "#short_id"))


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
async def test_a_technician_clicks_from_the_status_page_to_a_reset(
    address: str, station: FakeStation, browsers: BrowserFactory, javascript: bool
) -> None:
    driver = await away(lambda: browsers(width=360, height=740, javascript=javascript))
    await away(driver.get, f"{address}/status")
    await click(driver, "a[href='/technician']")
    await until(driver, lambda d: find(d, "#pin"))
    await away(lambda: find(driver, "#pin").send_keys("000000", Keys.ENTER))
    await until(driver, lambda d: "not the technician's PIN" in find(d, "#pin-wrong").text)
    await away(lambda: find(driver, "#pin").send_keys(PIN, Keys.ENTER))
    await inside(driver)
    await press(driver, "/technician/locate")
    await until(driver, lambda d: "blinks now" in find(d, ".notice").text)
    await press(driver, "/technician/test")
    await until(driver, lambda d: "did not answer in time" in find(d, "[role=status] .answers").text)
    await away(lambda: find(driver, "#short_id").send_keys("yes"))
    await click(driver, "[name=events][value=keep]")
    await until(driver, lambda d: find(d, "#short_id-wrong"))
    await away(lambda: find(driver, "#short_id").send_keys("KXPMVT"))
    await click(driver, "[name=events][value=keep]")
    await until(driver, lambda d: "starts over" in find(d, "h1").text)
    asked = [name for name, _ in station.asked]
    assert asked == ["pin", "pin", "locate", "test", "reset"]
    assert station.asked[-1] == ("reset", False)
    errors = [line for line in await away(complaints, driver) if "403" not in line and "422" not in line]
    assert errors == [], "the refused forms are the only ones that the console names"


async def test_the_whole_page_can_be_used_by_keyboard(
    address: str, station: FakeStation, browser: Chrome
) -> None:
    keys = Keyboard(browser)
    await away(browser.get, f"{address}/technician")
    await keys.tab_to("#pin")
    await keys.press("111111", Keys.ENTER)
    await until(browser, lambda d: find(d, "#pin-wrong"))
    field = await away(lambda: keys.at)
    assert await away(field.get_attribute, "id") == "pin", "the focus is where the mistake is"
    await keys.press(PIN, Keys.ENTER)
    await inside(browser)
    await keys.tab_to("form[action='/technician/retry'] button")
    await keys.press(Keys.ENTER)
    await until(browser, lambda d: "tries to send now" in find(d, ".notice").text)
    assert station.asked[-1] == ("retry", None)
    passed = await keys.tab_to("[name=events][value=remove]")
    assert [name for name in passed if name in BUTTONS] == BUTTONS


BUTTONS = [
    "Blink the light",
    "Send now",
    "Test the connection",
    "Last picture",
    "Download the support bundle",
    "Restart now",
    "Reset, but keep events that wait",
    "Reset, and remove all events",
]


async def walk(driver: Chrome, address: str) -> None:
    """To the page with all that it can hold: results of a test, then a reset that was refused."""
    await enter(driver, address)
    await inside(driver)
    await press(driver, "/technician/test")
    await until(driver, lambda d: find(d, "[role=status] .answers"))


async def refused(driver: Chrome) -> None:
    await away(lambda: find(driver, "#short_id").send_keys("no"))
    await click(driver, "[name=events][value=remove]")
    await until(driver, lambda d: find(d, "#short_id-wrong"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "de", "ar"])
async def test_axe_finds_nothing_behind_the_pin(
    address: str, browser: Chrome, axe: str, language: str, colours: str
) -> None:
    await away(browser.set_script_timeout, 120)
    await away(scheme, browser, colours)
    await away(speak, browser, language)
    await away(resize, browser, 360, 740)
    await enter(browser, address, "000000")
    await until(browser, lambda d: find(d, "#pin-wrong"))
    assert await away(findings, browser, axe) == []
    await walk(browser, address)
    assert await away(findings, browser, axe) == []
    await refused(browser)
    assert await away(findings, browser, axe) == []
    await press(browser, "/technician/restart")
    await until(browser, lambda d: not d.find_elements(By.ID, "short_id"))
    assert await away(findings, browser, axe) == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "pt", "ar", "ko", "ja", LONG])
async def test_it_fits_a_phone_and_can_be_read_and_hit(address: str, browser: Chrome, language: str) -> None:
    await away(speak, browser, language)
    await away(resize, browser, 360, 740)
    await walk(browser, address)
    scripts = [_TOO_WIDE, _PALE, _SMALL, _TINY]
    if language not in ("ja", LONG):
        scripts.append(_BROKEN)
    found = {script[:40]: await away(browser.execute_script, script) for script in scripts}
    await refused(browser)
    found |= {f"refused {s[:40]}": await away(browser.execute_script, s) for s in (_TOO_WIDE, _SMALL)}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


async def test_the_page_of_a_restart_comes_back_by_itself(station: FakeStation, browser: Chrome) -> None:
    async with serving(create_app(station), "127.0.0.1", 0) as address:
        await enter(browser, address)
        await inside(browser)
        await press(browser, "/technician/restart")
        await until(browser, lambda d: "starts again" in find(d, "h1").text)
        port = int(address.rpartition(":")[2])
    async with serving(create_app(station), "127.0.0.1", port):
        await until(browser, lambda d: d.current_url.endswith("/status"))
        await until(browser, lambda d: find(d, "h1").text == "Running")


async def test_an_open_page_asks_nothing_while_its_stream_is_open(
    station: FakeStation, browser: Chrome, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    real = api.status

    async def counted(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return await real(request)

    monkeypatch.setattr(api, "status", counted)
    app = create_app(station, settings=PortalSettings(stream_pulse=1.0))
    async with serving(app, "127.0.0.1", 0) as address:
        await away(browser.get, f"{address}/status")
        await station.show(uploads=RUNNING.uploads.__class__(delivered=77))
        await until(browser, lambda d: find(d, "[data-live='uploads.delivered']").text == "77")
        asked.clear()
        await asyncio.sleep(12)  # two of its looks at the stream
        assert asked == []
