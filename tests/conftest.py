"""Fixtures that every room's tests may use: a real headless browser and a free port."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

CHROMIUM = "/usr/bin/chromium"
CHROMEDRIVER = "/usr/bin/chromedriver"

BrowserFactory = Callable[..., webdriver.Chrome]


def browser_options(profile: Path, *, javascript: bool, language: str) -> Options:
    """Chromium as Debian ships it, headless, silent, with a fresh profile."""
    options = Options()
    options.binary_location = CHROMIUM
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        f"--user-data-dir={profile}",
        f"--lang={language}",
    ):
        options.add_argument(flag)
    preferences: dict[str, object] = {"intl.accept_languages": language}
    if not javascript:
        preferences["profile.managed_default_content_settings.javascript"] = 2
    options.add_experimental_option("prefs", preferences)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return options


@pytest.fixture
def browsers(tmp_path: Path) -> Iterator[BrowserFactory]:
    """Makes browsers: `browsers(width=360, javascript=False, language="en")`. All are closed at the end."""
    if not (shutil.which(CHROMIUM) and shutil.which(CHROMEDRIVER)):
        pytest.skip("Debian's chromium and chromium-driver are not installed (make test installs them)")
    opened: list[webdriver.Chrome] = []

    def make(
        *, width: int = 1280, height: int = 900, javascript: bool = True, language: str = "en"
    ) -> webdriver.Chrome:
        profile = tmp_path / f"chromium-{len(opened)}"
        options = browser_options(profile, javascript=javascript, language=language)
        driver = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
        opened.append(driver)
        driver.set_page_load_timeout(30)
        # A headless window cannot be narrower than about 500 px; the emulation can, and behaves as a phone.
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700},
        )
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
