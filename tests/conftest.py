"""Fixtures that every room's tests may use: a real headless browser and a free port."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from scripts.browser import CHROMEDRIVER, CHROMIUM, open_browser

BrowserFactory = Callable[..., webdriver.Chrome]


@pytest.fixture
def browsers(tmp_path: Path) -> Iterator[BrowserFactory]:
    """Makes browsers: `browsers(width=360, javascript=False, language="en")`. All are closed at the end."""
    if not (shutil.which(CHROMIUM) and shutil.which(CHROMEDRIVER)):
        pytest.skip("Debian's chromium and chromium-driver are not installed (make test installs them)")
    opened: list[webdriver.Chrome] = []

    def make(
        *,
        width: int = 1280,
        height: int = 900,
        javascript: bool = True,
        language: str = "en",
        dark: bool = False,
    ) -> webdriver.Chrome:
        driver = open_browser(
            tmp_path / f"chromium-{len(opened)}",
            width=width,
            height=height,
            javascript=javascript,
            language=language,
            dark=dark,
        )
        opened.append(driver)
        return driver

    yield make
    for driver in opened:
        driver.quit()


@pytest.fixture
def browser(browsers: BrowserFactory) -> webdriver.Chrome:
    """One desktop browser with JavaScript."""
    return browsers()


@pytest.fixture
def free_port() -> int:
    """A TCP port on loopback that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
