"""The pages in a real browser, with and without JavaScript, on a phone's width and a desk's."""

from __future__ import annotations

import base64
from typing import Any

import cv2
import numpy as np
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from language import pseudo
from portal.fakes import CARD, IN_SETUP, RUNNING, WAITING_FOR_CLAIM, FakeStation
from portal.languages import load
from portal.server import create_app, serving
from portal.view import Backlog, Waiting
from tests.conftest import BrowserFactory
from tests.portal.browsing import (
    arrive,
    away,
    click,
    complaints,
    find,
    on_every_page,
    resize,
    runs,
    scheme,
    speak,
    until,
)
from tests.portal.test_pages import TROUBLED

pytestmark = pytest.mark.browser


def read_qr(driver: Chrome) -> str:
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    pixels = np.frombuffer(base64.b64decode(shot["data"]), np.uint8)
    picture = cv2.imdecode(pixels, cv2.IMREAD_COLOR)
    assert picture is not None
    text, _, _ = cv2.QRCodeDetector().detectAndDecode(picture)
    return text


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
async def test_a_person_clicks_from_the_list_to_a_running_station(
    address: str, station: FakeStation, browsers: BrowserFactory, javascript: bool
) -> None:
    driver = await away(lambda: browsers(width=360, height=740, javascript=javascript))
    await away(driver.get, address)
    await arrive(driver, "/setup")
    await click(driver, ".rows a")
    await until(driver, lambda d: find(d, "#password"))
    await away(lambda: find(driver, "#password").send_keys("wrong password", Keys.ENTER))
    await arrive(driver, "/progress")
    renewing = await away(lambda: find(driver, "body").text.count("renews itself"))
    assert renewing == (0 if javascript else 1)
    await station.settle()
    await until(driver, lambda d: "was not accepted" in find(d, "[role=alert]").text)

    await away(lambda: find(driver, "#password").send_keys("correct horse"))
    await click(driver, "form[action='/setup/join'] .primary")
    await until(driver, lambda d: find(d, "progress"))
    await station.settle()
    await arrive(driver, "/claim")
    assert await away(read_qr, driver) == CARD.claim_url
    assert await away(lambda: find(driver, ".pin").text.split()[:2]) == ["482", "913"]

    await station.show(RUNNING)
    await arrive(driver, "/status")
    assert await away(lambda: find(driver, "h1").text) == "Running"
    assert await away(complaints, driver) == []


async def test_an_open_status_page_is_patched_in_place_and_says_when_it_is_stale(
    station: FakeStation, browser: Chrome
) -> None:
    await station.show(RUNNING)
    async with serving(create_app(station), "127.0.0.1", 0) as address:
        await away(browser.get, f"{address}/status")
        await away(browser.execute_script, "window.sameDocument = true")
        await station.show(backlog=Backlog((Waiting("critical", 7, 1200, 3.0),)))
        answer = "[data-live='answers.waiting.text']"
        await until(browser, lambda d: find(d, answer).text == "7 messages, 1.2 kB")
        await station.show(TROUBLED)
        await until(browser, lambda d: find(d, "h1 .shape").get_attribute("data-tone") == "working")
        assert await away(browser.execute_script, "return window.sameDocument")
        assert not await away(lambda: find(browser, "[data-stale]").is_displayed())
    await until(browser, lambda d: find(d, "[data-stale]").is_displayed())


async def test_a_page_whose_stream_is_refused_asks_instead(station: FakeStation, browser: Chrome) -> None:
    await station.show(RUNNING)
    app = create_app(station)
    async with serving(app, "127.0.0.1", 0) as address:
        await away(browser.execute_cdp_cmd, "Page.addScriptToEvaluateOnNewDocument", {"source": _NO_STREAMS})
        await away(browser.get, f"{address}/status")
        await station.show(TROUBLED)
        await until(browser, lambda d: find(d, "h1").text == "Looking for its network")


_NO_STREAMS = "window.EventSource = class { static OPEN = 1; readyState = 2; close() {} };"


async def test_show_turns_the_password_readable_and_keeps_what_was_typed(
    address: str, browser: Chrome
) -> None:
    await away(browser.get, f"{address}/setup?network=other")
    await away(lambda: find(browser, "#password").send_keys("typed"))
    await click(browser, "[data-reveal]")
    field = await away(lambda: find(browser, "#password"))
    assert await away(field.get_attribute, "type") == "text"
    assert await away(field.get_attribute, "value") == "typed"
    assert await away(lambda: find(browser, "[data-reveal]").text) == "Hide"


async def test_the_language_is_switched_by_clicking(address: str, browser: Chrome) -> None:
    await away(browser.get, f"{address}/claim")
    await click(browser, ".languages summary")
    await click(browser, f".languages [value='{pseudo.RIGHT_TO_LEFT}']")
    await until(browser, lambda d: find(d, "html").get_attribute("dir") == "rtl")
    assert "/claim" in browser.current_url


async def test_the_whole_join_can_be_done_by_keyboard(
    address: str, station: FakeStation, browser: Chrome
) -> None:
    await away(browser.get, f"{address}/setup")

    def press(*keys: str) -> WebElement:
        for key in keys:
            browser.switch_to.active_element.send_keys(key)
        return browser.switch_to.active_element

    focused = await away(press, Keys.TAB)
    assert await away(lambda: focused.text) == "Skip to the page"
    assert await away(lambda: focused.size["height"]) > 20, "the skip link shows itself when focused"
    await away(press, Keys.ENTER, Keys.TAB, Keys.ENTER)
    await until(browser, lambda d: find(d, "#password"))
    await away(lambda: find(browser, "h1").click())
    await away(press, Keys.TAB)
    await away(press, *"correct horse", Keys.ENTER)
    await arrive(browser, "/progress")
    assert station.asked[0][1].passphrase == "correct horse"


@pytest.mark.parametrize("colours", ["light", "dark"])
async def test_the_card_is_read_from_a_picture_of_the_page(
    address: str, station: FakeStation, browser: Chrome, colours: str
) -> None:
    await station.show(WAITING_FOR_CLAIM)
    await away(scheme, browser, colours)
    for width, height in ((320, 568), (360, 740), (1280, 900)):
        await away(resize, browser, width, height)
        await away(browser.get, f"{address}/claim")
        assert await away(read_qr, browser) == CARD.claim_url
        assert await away(browser.execute_script, _PIN_SIZE) >= 48


_PIN_SIZE = "return parseFloat(getComputedStyle(document.querySelector('.pin')).fontSize)"

_TOO_WIDE = """
const limit = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth <= limit) return [];
return [...document.body.querySelectorAll('*')].filter(e => {
  const box = e.getBoundingClientRect();
  return e.checkVisibility() && !e.closest('pre, .heard') && (box.right > limit + 1 || box.left < -1);
}).map(e => e.outerHTML.slice(0, 80));
"""

_SMALL = """
return [...document.querySelectorAll('button, .button, .rows a, input:not([type=hidden], [type=checkbox])')]
  .concat([...document.querySelectorAll('select, summary, footer a, .brand, .back a, .reveal a, .check')])
  .filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 48)
  .map(e => e.outerHTML.slice(0, 80));
"""

_TINY = """
const tiny = new Set();
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const size = parseFloat(getComputedStyle(walk.currentNode.parentElement).fontSize);
  if (walk.currentNode.data.trim() && size < 16) tiny.add(walk.currentNode.data.trim());
}
return [...tiny];
"""

_PALE = """
function parts(color) { return (color.match(/[\\d.]+/g) || []).map(Number); }
function light([r, g, b]) {
  const linear = v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const [x, y, z] = [r, g, b].map(v => linear(v / 255));
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
}
function behind(e) {
  for (; e; e = e.parentElement) {
    const colour = parts(getComputedStyle(e).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
}
const pale = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const e = walk.currentNode.parentElement;
  if (!walk.currentNode.data.trim() || !e.checkVisibility()) continue;
  if (e.closest('.heard, script, noscript, .stepper i')) continue;
  const [a, b] = [light(parts(getComputedStyle(e).color)), light(behind(e))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 7) pale.push(`${walk.currentNode.data.trim()} ${ratio.toFixed(2)}`);
}
return pale;
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("language", [*(each.tag for each in load()), pseudo.LONG, pseudo.RIGHT_TO_LEFT])
async def test_every_page_fits_a_phone_and_double_size(
    address: str, station: FakeStation, browser: Chrome, language: str
) -> None:
    await away(speak, browser, language)
    found: dict[int, dict[str, list[str]]] = {}
    # What fits 320 px fits 360 px too; the made-up languages prove it.
    for width in (360, 320) if language in (pseudo.LONG, pseudo.RIGHT_TO_LEFT) else (320,):
        await away(resize, browser, width, 640)
        found[width] = await on_every_page(browser, station, address, runs(_TOO_WIDE))
    assert not any(found.values()), found


@pytest.mark.parametrize("colours", ["light", "dark"])
async def test_every_page_can_be_read_in_sunlight_and_hit_with_a_thumb(
    address: str, station: FakeStation, browser: Chrome, colours: str
) -> None:
    await away(scheme, browser, colours)
    await away(resize, browser, 360, 640)

    def look(driver: Chrome) -> list[str]:
        scripts = {"pale": _PALE, "small": _SMALL, "tiny": _TINY}
        return [f"{what}: {each}" for what, script in scripts.items() for each in runs(script)(driver)]

    assert await on_every_page(browser, station, address, look) == {}


_BROKEN = """
const broken = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const node = walk.currentNode, e = node.parentElement;
  if (!e.checkVisibility() || e.closest('pre, script, noscript, .skip, .heard, .stepper, .claim b')) continue;
  for (const word of node.data.matchAll(/[\\p{L}\\p{M}\\d]+/gu)) {
    const range = document.createRange();
    range.setStart(node, word.index);
    range.setEnd(node, word.index + word[0].length);
    const lines = new Set([...range.getClientRects()].map(box => Math.round(box.top)));
    if (lines.size > 1) broken.push(word[0]);
  }
}
return broken;
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "pt", "ar", "ko"])
async def test_no_word_is_broken_on_a_phone(
    address: str, station: FakeStation, browser: Chrome, language: str
) -> None:
    """Chinese and Japanese break between any two signs; the others only between words."""
    await away(speak, browser, language)
    await away(resize, browser, 360, 740)
    assert await on_every_page(browser, station, address, runs(_BROKEN)) == {}


@pytest.mark.parametrize("snapshot", [RUNNING, IN_SETUP], ids=["running", "in setup"])
async def test_the_five_answers_stand_on_a_phones_first_screen(
    address: str, station: FakeStation, browser: Chrome, snapshot: Any
) -> None:
    await station.show(snapshot)
    await away(resize, browser, 360, 640)
    await away(browser.get, f"{address}/status")
    bottom = "return document.querySelector('.answers').getBoundingClientRect().bottom"
    assert await away(browser.execute_script, bottom) <= 640
