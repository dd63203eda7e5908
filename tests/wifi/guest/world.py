"""All that a scenario works with, and its stop-watch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from scripts.people import Page
from tests.visitor import eventually
from tests.wifi.guest.house import House
from tests.wifi.guest.phone import Phone
from tests.wifi.guest.router import PASSWORD, SSID, Router
from tests.wifi.guest.station import Station

PORTAL = "192.0.2.1"


class World:
    """The machines are those of the guest; this object can be made anew for the same ones."""

    def __init__(self) -> None:
        self.station, self.router, self.house = Station(), Router(), House()
        self.phone, self.neighbour = Phone(), Phone("neighbour")
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Notes how long a step took."""
        began = time.monotonic()
        yield
        self.seconds[what] = round(time.monotonic() - began, 2)
        print(f"{what}: {self.seconds[what]} s", flush=True)

    def list_networks(self, ssid: str = SSID) -> Page:
        """The phone opens the page and listens again until the network is in it."""
        found: list[Page] = []

        def look() -> bool:
            page = self.phone.open(f"http://{PORTAL}/setup")
            if ssid in page.text:
                found.append(page)
                return True
            self.phone.send(page, "/setup/scan")
            return False

        eventually(look, f"{ssid} is in the list", 120, every=3)
        return found[0]

    def choose(self, password: str = PASSWORD, ssid: str = SSID, **typed: str) -> None:
        """Fills in the form for a network and sends it, while the hotspot lasts."""
        form = self.phone.open(f"http://{PORTAL}/setup?network={'other' if typed else ssid.encode().hex()}")
        answer = self.phone.send_only(form, "/setup/join", password=password, **typed)
        assert answer.endswith("/progress"), f"the form was refused: {answer}"

    def phone_is_back(self) -> None:
        """By itself, and with the address that it had."""
        before = self.phone.address
        self.phone.wait_associated()
        assert self.phone.ask_for_address()["ip"] == before, "the phone gets the address that it had"

    def verdict_page(self, code: str) -> Page:
        """The page that waits for the returning phone."""
        page = self.phone.open(f"http://{PORTAL}/progress")
        assert code in page.text, f"{code} is not on the page: {page.text[:600]}"
        return page
