"""WCAG 2.1 AA in a real browser: axe-core on every page, the keyboard alone, double size, no motion."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from language.pseudo import LONG
from portal.fakes import CARD, RUNNING, WAITING_FOR_CLAIM, FakeStation
from tests.conftest import BrowserFactory
from tests.portal.browsing import arrive, away, find, on_every_page, resize, runs, scheme, speak, until
from tests.portal.test_pages import STATIC

pytestmark = pytest.mark.browser

AXE = Path(sys.prefix) / "axe" / "axe_playwright_python" / "axe.min.js"

_RUN = """
const done = arguments[arguments.length - 1];
const only = {type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]};
axe.run(document, {runOnly: only, resultTypes: ["violations"]}).then(
  found => done(found.violations.map(v => `${v.impact} ${v.id}: ${v.nodes.map(n => n.html.slice(0, 120))}`)),
  error => done([String(error)]),
);
"""


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.is_file():
        pytest.skip(f"axe-core is not installed in {AXE.parent} (make setup installs it)")
    return AXE.read_text("utf-8")


def findings(driver: Chrome, axe: str) -> list[str]:
    driver.execute_script(axe)
    found: list[str] = driver.execute_async_script(_RUN)
    return found


@pytest.mark.timeout(600)
@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "de", "ar"])
async def test_axe_finds_nothing_on_any_page(
    address: str, station: FakeStation, browser: Chrome, axe: str, language: str, colours: str
) -> None:
    await away(browser.set_script_timeout, 120)
    await away(scheme, browser, colours)
    await away(speak, browser, language)
    await away(resize, browser, 360, 740)
    assert await on_every_page(browser, station, address, lambda driver: findings(driver, axe)) == {}


@pytest.mark.timeout(300)
async def test_axe_finds_nothing_in_open_menus_and_refused_forms(
    address: str, station: FakeStation, browser: Chrome, axe: str
) -> None:
    await away(browser.set_script_timeout, 120)
    await away(browser.get, f"{address}/setup?network=other")
    await away(lambda: find(browser, ".languages summary").click())
    assert await away(findings, browser, axe) == []
    await away(lambda: find(browser, ".languages summary").click())
    await away(lambda: find(browser, "#name").send_keys("x"))
    await away(lambda: find(browser, "#password").send_keys("short", Keys.ENTER))
    await until(browser, lambda d: find(d, "#password-wrong"))
    assert await away(findings, browser, axe) == []


async def test_axe_sees_what_is_wrong(address: str, browser: Chrome, axe: str) -> None:
    """A page that is broken on purpose, so that silence means something."""
    await away(browser.set_script_timeout, 120)
    await away(browser.get, f"{address}/setup?network=other")
    await away(browser.execute_script, "document.querySelector('label[for=password]').remove()")
    assert any(" label: " in complaint for complaint in await away(findings, browser, axe))


class Keyboard:
    """A person without a mouse."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    @property
    def at(self) -> WebElement:
        return self.driver.switch_to.active_element

    async def press(self, *keys: str) -> WebElement:
        for key in keys:
            await away(lambda key=key: self.at.send_keys(key))
        return await away(lambda: self.at)

    async def tab_to(self, selector: str) -> list[str]:
        """Tabs on to `selector`; the name of everything that had the focus on the way, which must show it."""
        passed: list[str] = []
        for _ in range(40):
            await self.press(Keys.TAB)
            name, outline, reached = await away(self.driver.execute_script, _FOCUS, selector)
            assert outline, f"{name!r} does not show that it has the focus"
            passed.append(name)
            if reached:
                return passed
        raise AssertionError(f"{selector} cannot be reached by keyboard; passed {passed}")


_FOCUS = """
const e = document.activeElement, style = getComputedStyle(e);
const name = e.labels?.[0]?.textContent || e.getAttribute("aria-label") || e.textContent || e.tagName;
const shown = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
return [name.trim().replace(/\\s+/g, " "), shown, e.matches(arguments[0])];
"""


async def test_a_person_without_a_mouse_comes_from_the_list_to_the_claim_card(
    address: str, station: FakeStation, browser: Chrome
) -> None:
    keys = Keyboard(browser)
    await away(browser.get, address)
    await arrive(browser, "/setup")
    passed = await keys.tab_to(".rows a")
    assert passed[0] == "Skip to the page"
    assert passed[-1].startswith("Home-5G")
    await keys.press(Keys.ENTER)
    await until(browser, lambda d: find(d, "#password"))
    assert await keys.tab_to("#password") == [
        "Skip to the page",
        "Meteor station KXPMVT",
        "Language: English",
        "All networks",
        "Password",
    ]
    await keys.press("short", Keys.ENTER)
    await until(browser, lambda d: find(d, "#password-wrong"))
    field = await away(lambda: keys.at)
    assert await away(field.get_attribute, "id") == "password", "the focus is where the mistake is"
    assert await away(field.get_attribute, "aria-describedby") == "password-wrong"
    await keys.press("correct horse")
    await keys.tab_to("form[action='/setup/join'] .primary")
    await keys.press(Keys.ENTER)
    await arrive(browser, "/progress")
    await station.settle()
    await arrive(browser, "/claim")
    await keys.tab_to("main a.button.primary")
    assert await away(lambda: keys.at.get_attribute("href")) == CARD.claim_url


async def test_the_language_is_changed_by_keyboard(address: str, browser: Chrome) -> None:
    keys = Keyboard(browser)
    await away(browser.get, f"{address}/claim")
    await keys.tab_to(".languages summary")
    await keys.press(Keys.ENTER)
    await keys.tab_to(".languages [value=de]")
    await keys.press(Keys.ENTER)
    await until(browser, lambda d: find(d, "html").get_attribute("lang") == "de")
    await away(browser.get, f"{address}/setup")
    assert await away(lambda: find(browser, "h1").text) == "Netzwerk wählen", "it is remembered"


async def test_the_pin_is_read_digit_by_digit(address: str, station: FakeStation, browser: Chrome) -> None:
    """What a screen reader gets is the browser's accessibility tree."""
    await station.show(WAITING_FOR_CLAIM)
    await away(browser.get, f"{address}/claim")
    tree = await away(browser.execute_cdp_cmd, "Accessibility.getFullAXTree", {})
    said = [_said(node) for node in tree["nodes"] if not node["ignored"]]
    assert " ".join(CARD.pin) in said
    assert " ".join(CARD.short_id) in said
    assert CARD.pin not in said
    assert "QR code that opens the claim page with everything filled in" in said


def _said(node: dict[str, Any]) -> str:
    return str(node.get("name", {}).get("value", ""))


async def test_news_is_announced_and_the_log_is_not(
    address: str, station: FakeStation, browser: Chrome
) -> None:
    await station.show(RUNNING)
    await away(browser.get, f"{address}/status")
    live = "return [...document.querySelectorAll('[role=status], [role=alert]')].length"
    assert await away(browser.execute_script, live) >= 2
    assert await away(lambda: find(browser, "pre").get_attribute("aria-live")) == "off"


@pytest.mark.parametrize("language", ["de", "fr", "ar", LONG])
async def test_nothing_is_lost_when_all_text_is_twice_as_large(
    address: str, station: FakeStation, browsers: BrowserFactory, language: str
) -> None:
    """WCAG 1.4.4: the text alone at 200 %, as a person's setting of the browser makes it."""
    driver = await away(lambda: browsers(width=720, height=1000))
    await away(speak, driver, language)
    await away(driver.get, address)
    await away(driver.execute_cdp_cmd, "Page.setFontSizes", {"fontSizes": {"standard": 32, "fixed": 26}})
    assert await on_every_page(driver, station, address, runs(_LOST)) == {}


_LOST = """
if (getComputedStyle(document.documentElement).fontSize !== "32px") return ["the text is not larger"];
const limit = document.documentElement.clientWidth;
return [...document.body.querySelectorAll("*")].filter(e => {
  if (e.closest("pre, .heard, .skip, svg") || !e.checkVisibility()) return false;
  // A table of data may scroll inside a region that the keyboard reaches (WCAG 1.4.10); the region must fit.
  const region = e.closest("table")?.closest("section[tabindex='0'][aria-label]");
  if (region && getComputedStyle(region).overflowX === "auto") return false;
  if (e.matches(".stepper li:not(.now) > span")) return false; // shown by its number; heard in full
  const box = e.getBoundingClientRect();
  const cut = getComputedStyle(e).overflow === "hidden" && e.scrollHeight > e.clientHeight + 2;
  return box.right > limit + 1 || box.left < -1 || cut;
}).map(e => e.outerHTML.slice(0, 80));
"""


def test_nothing_on_the_pages_moves() -> None:
    """Nobody has to ask for reduced motion where there is none."""
    css = (STATIC / "portal.css").read_text("utf-8")
    assert not any(word in css for word in ("animation", "transition", "@keyframes", "scroll-behavior"))
