"""A claim in Arabic and German in a real browser: direction, nothing too wide, axe finds nothing."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from cloud.security.vault import Secrets
from tests.cloud.cloud_server import Cloud, running_cloud
from tests.cloud.people_browser import Reader
from tests.cloud.people_parts import PASSWORD, Clock
from tests.conftest import BrowserFactory
from tests.portal.test_accessibility import AXE, findings

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ADA = "ada@example.org"
CODE = "#BCDFGH.abcdefghijklmnopqrstuv"


@pytest.fixture
async def spoken_cloud(tmp_path: Path, secrets: Secrets) -> AsyncIterator[Cloud]:
    async with running_cloud(tmp_path / "cloud", secrets, Clock(time.time_ns() // 1_000_000)) as cloud:
        await cloud.person(ADA)
        yield cloud


async def send(reader: Reader, action: str) -> None:
    """Presses the button of the form with this action, whatever it is called."""
    selector = f"main form[action='{action}'] button"
    await reader.do(lambda: reader.driver.find_element(By.CSS_SELECTOR, selector).click())


async def wrong(reader: Reader, language: str) -> list[str]:
    """What is wrong with the page that is open; empty when nothing is."""
    told = await reader.script(
        "const page = document.documentElement;"
        "return [page.lang, page.dir, page.scrollWidth - page.clientWidth, location.pathname]"
    )
    found = []
    if told[:2] != [language, "rtl" if language == "ar" else "ltr"] or told[2] > 0:
        found.append(f"{told}")
    if AXE.is_file():
        found += await reader.do(lambda: findings(reader.driver, AXE.read_text("utf-8")))
    return [f"{told[3]}: {one}" for one in found]


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("language", ["ar", "de"])
async def test_a_scanned_station_is_claimed_in_the_language_of_the_phone(
    spoken_cloud: Cloud, browsers: BrowserFactory, language: str, width: int
) -> None:
    reader = Reader(browsers(width=width, language=language), spoken_cloud)
    station = spoken_cloud.station()
    claim_id = await station.wait_on_card()
    complaints = []
    for path in (f"/claim{CODE}", "/sign-in?next=/claim", "/forgot", "/reset", "/nothing"):
        await reader.open(path)
        complaints += await wrong(reader, language)
    await reader.open("/sign-in?next=/stations/add")
    await reader.type(email=ADA, password=PASSWORD)
    await send(reader, "/sign-in")
    await reader.until_has("#short_id")
    complaints += await wrong(reader, language)
    await reader.type(short_id=station.short_id, pin="1", name="Dach 1")
    await send(reader, "/stations/add")
    await reader.until_has(".note.failed")
    complaints += await wrong(reader, language)
    await reader.type(pin=station.pin)
    await send(reader, "/stations/add")
    await reader.until_has("#progress")
    complaints += await wrong(reader, language)
    await station.finish(claim_id)
    await station.beaten("operational")
    await reader.until_has("h2 .tone.running circle")
    for path in (
        f"/stations/{station.device_id}",
        f"/stations/{station.device_id}/place",
        f"/stations/{station.device_id}/people",
        f"/stations/{station.device_id}/give-up",
        f"/stations/{station.device_id}/delete",
        "/stations/bulk",
        "/account",
        "/account/tokens",
        "/account/data",
        "/account/log",
        "/",
    ):
        await reader.open(path)
        complaints += await wrong(reader, language)
    await reader.do(lambda: reader.driver.find_element(By.CSS_SELECTOR, ".languages summary").click())
    complaints += await wrong(reader, language)
    assert complaints == []
    await reader.do(lambda: reader.driver.find_element(By.CSS_SELECTOR, ".languages [value=ja]").click())
    await reader.until_true("document.documentElement.lang === 'ja'")
