"""The whole way in a real browser: a phone at the station, then at the cloud, with every page live."""

from __future__ import annotations

import base64

import pytest
from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as ec
from selenium.webdriver.support.wait import WebDriverWait

from scripts.processes import Cloud, Station
from scripts.steps import event
from tests.conftest import BrowserFactory

pytestmark = pytest.mark.browser

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR4nGMQkbPBihiGlgQAtV4bgWpQX1QAAAAASUVORK5CYII="
)


class Person:
    """Reads what is shown and does what can be done, nothing else."""

    def __init__(self, browser: webdriver.Chrome) -> None:
        self.browser = browser
        self.wait = WebDriverWait(browser, 40)

    def opens(self, url: str) -> None:
        self.browser.get(url)

    def sees(self, text: str) -> None:
        body = (By.TAG_NAME, "body")
        try:
            self.wait.until(ec.text_to_be_present_in_element(body, text))
        except TimeoutException:
            shown = self.browser.find_element(*body).text
            pytest.fail(f"{text!r} never shows at {self.browser.current_url}, but:\n{shown}")

    def presses(self, text: str) -> None:
        xpath = f"//main//*[self::a or self::button][contains(normalize-space(.), {text!r})]"
        self.wait.until(
            ec.element_to_be_clickable((By.XPATH, xpath)), f"nothing to press says {text!r}"
        ).click()

    def types(self, name: str, text: str) -> None:
        field = self.wait.until(ec.element_to_be_clickable((By.NAME, name)))
        field.clear()
        field.send_keys(text)

    def console_is_clean(self) -> None:
        lines = [
            entry
            for entry in self.browser.get_log("browser")  # type: ignore[no-untyped-call]
            if entry["level"] == "SEVERE"
        ]
        assert not lines, lines


def test_a_person_walks_the_whole_way_in_a_browser(
    browsers: BrowserFactory, cloud: Cloud, station: Station
) -> None:
    person = Person(browsers(width=360, height=740))
    person.opens(station.url())
    person.presses("Home")
    person.types("password", "wrong password")
    person.presses("Connect")
    person.sees("was not accepted")
    person.types("password", "correct horse")
    person.presses("Connect")
    person.sees("PIN")
    link = str(station.status()["card"]["claim_url"])
    assert person.browser.find_elements(By.CSS_SELECTOR, "svg"), "the QR code is drawn"
    person.console_is_clean()

    person.opens(link)
    person.presses("Sign in")
    email, password = cloud.account()
    person.types("email", email)
    person.types("password", password)
    person.presses("Sign in")
    person.sees("No PIN needed")
    person.types("name", "Roof camera")
    person.presses("Add station")
    person.sees("From now on it looks after itself")
    person.presses("Open the station")
    person.sees("Roof camera")

    station.drop("live", event(1, media_files=["sky.png"]), sky_dot_png=PICTURE)
    picture = person.wait.until(
        ec.presence_of_element_located((By.CSS_SELECTOR, "img[src*='/media/']")),
        "the picture shows by itself",
    )
    person.wait.until(lambda _: picture.get_property("naturalWidth") == 8, "the picture is loaded")
    person.console_is_clean()

    station_page = Person(browsers(width=360, height=740))
    station_page.opens(station.url())
    station_page.sees("Running")
    station_page.console_is_clean()
