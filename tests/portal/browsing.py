"""Driving a real browser through the portal from its own event loop; no test here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from portal.fakes import FakeStation
from tests.portal.test_pages import PAGES

T = TypeVar("T")


async def away(work: Callable[..., T], *arguments: Any) -> T:
    """Selenium blocks; the portal runs in this very loop."""
    return await asyncio.to_thread(work, *arguments)


async def until(driver: Chrome, condition: Callable[[Chrome], T]) -> T:
    def wait() -> T:
        return WebDriverWait(driver, 40, ignored_exceptions=[Exception]).until(condition)

    return await away(wait)


def find(driver: Chrome, selector: str) -> WebElement:
    return driver.find_element(By.CSS_SELECTOR, selector)


async def click(driver: Chrome, selector: str) -> None:
    def press(waiting: Chrome) -> bool:
        find(waiting, selector).click()
        return True

    await until(driver, press)


async def arrive(driver: Chrome, path: str) -> None:
    await until(driver, lambda d: path in d.current_url)


def complaints(driver: Chrome) -> list[str]:
    """What the browser's console says: blocked scripts and styles, failed loads, exceptions."""
    entries = driver.get_log("browser")  # type: ignore[no-untyped-call]
    return [entry["message"] for entry in entries]


def scheme(driver: Chrome, name: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": name}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def speak(driver: Chrome, language: str) -> None:
    driver.execute_cdp_cmd("Network.enable", {})
    headers = {"headers": {"Accept-Language": language}}
    driver.execute_cdp_cmd("Network.setExtraHTTPHeaders", headers)


def resize(driver: Chrome, width: int, height: int) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


async def on_every_page(
    driver: Chrome, station: FakeStation, address: str, look: Callable[[Chrome], list[str]]
) -> dict[str, list[str]]:
    """What `look` complains of, by the name of the page; empty when nothing is wrong anywhere."""
    found: dict[str, list[str]] = {}
    for name, (snapshot, path) in PAGES.items():
        await station.show(snapshot)
        await away(driver.get, address + path)
        if wrong := await away(look, driver):
            found[name] = wrong
    return found


def runs(script: str) -> Callable[[Chrome], list[str]]:
    """A look by a script that returns a list."""

    def look(driver: Chrome) -> list[str]:
        found: list[str] = driver.execute_script(script)
        return found

    return look
