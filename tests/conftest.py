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

LONG = ("netfaults", "crash", "e2e", "hotspot", "networkmanager", "mdns", "wifi", "bench")
"""Folders whose tests mostly wait for real processes: they begin first, and the quick ones fill the gaps."""
TOGETHER = ("netfaults", "crash", "hotspot", "networkmanager", "mdns", "wifi", "bench")
"""Folders that one worker takes whole: their worlds, or the processor's quiet, are not to be shared."""
TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Says what several workers may take apart; without workers only the order changes."""
    for item in items:
        folder, file = _place(item)
        item.add_marker(pytest.mark.xdist_group(folder if folder in TOGETHER else file))
    items.sort(key=lambda item: _rank(_place(item)[0]))


def _place(item: pytest.Item) -> tuple[str, str]:
    """The room of a test, and its file."""
    path = item.path.relative_to(TESTS)
    return path.parts[0], path.as_posix()


def _rank(folder: str) -> int:
    return LONG.index(folder) if folder in LONG else len(LONG)


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
