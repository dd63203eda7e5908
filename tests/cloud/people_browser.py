"""A person with a real browser, for tests whose cloud runs in the same event loop: every step is awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

from selenium.common.exceptions import (
    NoSuchElementException,
    StaleElementReferenceException,
    WebDriverException,
)
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.cloud.cloud_server import Cloud
from tests.cloud.people_parts import PASSWORD

T = TypeVar("T")
PATIENCE_S = 20.0

NO_SOCKETS = (
    "window.WebSocket = class { constructor() { setTimeout(() => this.onclose({code: 1006}), 10); } };"
)
"""Put before a page's own scripts: a network that lets no WebSocket through."""


class Reader:
    """One person at one browser."""

    def __init__(self, driver: Chrome, cloud: Cloud) -> None:
        self.driver, self.cloud = driver, cloud

    async def do(self, step: Callable[[], T]) -> T:
        """A blocking step of the driver, on a thread, so that the cloud can answer meanwhile."""
        return await asyncio.to_thread(step)

    async def open(self, path: str) -> None:
        await self.do(lambda: self.driver.get(self.cloud.base + path))

    async def script(self, source: str) -> Any:
        return await self.do(lambda: self.driver.execute_script(source))

    async def sees(self, *words: str) -> str:
        """Waits until all of the words stand on the page, without touching it; the visible text."""
        return await self._wait(lambda text: all(word in text for word in words), f"{words} to appear")

    async def sees_no_more(self, word: str) -> str:
        return await self._wait(lambda text: word not in text, f"{word!r} to go")

    async def _wait(self, enough: Callable[[str], bool], what: str) -> str:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            text = await self.text()
            if enough(text):
                return text
            assert time.monotonic() < deadline, f"waited in vain for {what}; the page says: {text}"
            await asyncio.sleep(0.1)

    async def text(self) -> str:
        try:
            found = await self.do(lambda: self.driver.find_element(By.TAG_NAME, "body").text)
        except (StaleElementReferenceException, WebDriverException):
            return ""  # the page is just being replaced
        return " ".join(found.replace("\u00a0", " ").split())

    async def has(self, selector: str) -> bool:
        def displayed() -> bool:
            found = self.driver.find_elements(By.CSS_SELECTOR, selector)
            return any(element.is_displayed() for element in found)

        try:
            return await self.do(displayed)
        except StaleElementReferenceException:
            return False  # it is just being replaced

    async def until_has(self, selector: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not await self.has(selector):
            assert time.monotonic() < deadline, f"no {selector}; the page says: {await self.text()}"
            await asyncio.sleep(0.1)

    async def until_true(self, expression: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not await self.script(f"return Boolean({expression})"):
            assert time.monotonic() < deadline, f"never true: {expression}"
            await asyncio.sleep(0.1)

    async def value(self, name: str) -> str:
        return str(await self.script(f"return document.getElementsByName('{name}')[0].value"))

    async def type(self, **fields: str) -> None:
        for name, text in fields.items():
            await self.until_has(f"[name='{name}']")  # the page may still be on its way
            element = await self.do(lambda name=name: self.driver.find_element(By.NAME, name))  # type: ignore[misc]
            await self.do(element.clear)
            await self.do(lambda element=element, text=text: element.send_keys(text))  # type: ignore[misc]

    async def press(self, label: str) -> None:
        """Clicks the one button or link with these words."""
        path = f"//main//*[self::button or self::a][normalize-space()='{label}']"
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return await self.do(lambda: self.driver.find_element(By.XPATH, path).click())
            except (NoSuchElementException, StaleElementReferenceException):
                assert time.monotonic() < deadline, f"no {label!r}; the page says: {await self.text()}"
                await asyncio.sleep(0.1)

    async def sign_in(self, email: str) -> None:
        await self.type(email=email, password=PASSWORD)
        await self.press("Sign in")

    async def complaints(self) -> list[str]:
        """What the browser's console says, apart from answers that are errors on purpose."""
        entries = await self.do(lambda: self.driver.get_log("browser"))  # type: ignore[no-untyped-call]
        return [
            entry["message"]
            for entry in entries
            if entry["level"] == "SEVERE"
            and "the server responded with a status of 4" not in entry["message"]
        ]
