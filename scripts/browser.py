"""Debian's headless Chromium for tests and screenshots: silent, with a fresh profile, as wide as asked."""

from __future__ import annotations

from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

CHROMIUM = "/usr/bin/chromium"
CHROMEDRIVER = "/usr/bin/chromedriver"

_FLAGS = (
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
)


def open_browser(
    profile: Path,
    *,
    width: int = 1280,
    height: int = 900,
    javascript: bool = True,
    language: str = "en",
    dark: bool = False,
) -> webdriver.Chrome:
    """One browser; the caller quits it. A width below 700 px behaves as a phone."""
    driver = webdriver.Chrome(
        options=_options(profile, javascript=javascript, language=language),
        service=Service(CHROMEDRIVER),
    )
    driver.set_page_load_timeout(30)
    resize(driver, width, height)
    if dark:
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    return driver


def resize(driver: webdriver.Chrome, width: int, height: int) -> None:
    """A headless window cannot be narrower than about 500 px; the emulation can."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700},
    )


def _options(profile: Path, *, javascript: bool, language: str) -> Options:
    options = Options()
    options.binary_location = CHROMIUM
    for flag in (*_FLAGS, f"--user-data-dir={profile}", f"--lang={language}"):
        options.add_argument(flag)
    preferences: dict[str, object] = {"intl.accept_languages": language}
    if not javascript:
        preferences["profile.managed_default_content_settings.javascript"] = 2
    options.add_experimental_option("prefs", preferences)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return options
