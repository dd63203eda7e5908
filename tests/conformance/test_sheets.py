"""The small browsers that systems open by themselves, from the first page to the last: when they stay, what
their button says, when they close."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from portal.fakes import RUNNING, FakeStation
from tests.conformance.clients import Verdict, android, apple
from tests.conformance.wire import Air
from tests.portal.phone import Page, Phone

APPLE = "http://captive.apple.com/hotspot-detect.html"
GOOGLE = "connectivitycheck.gstatic.com"


@pytest.fixture
async def phone(portal: str) -> AsyncIterator[Phone]:
    async with Phone(portal) as browser:
        yield browser


@dataclass
class AppleSheet:
    """Looks again after every page that was really loaded; its button is Cancel until it sees Success."""

    air: Air
    phone: Phone
    buttons: list[str] = field(default_factory=list)

    async def load(self, page: Awaitable[Page]) -> Page:
        loaded = await page
        seen = await apple(self.air, APPLE)
        self.buttons.append("Done" if seen is Verdict.ONLINE else "Cancel")
        return loaded


@dataclass
class AndroidSheet:
    """Looks again when a page starts and when it is there; closes by itself when it hears 204."""

    air: Air
    phone: Phone
    open: bool = True
    history: list[bool] = field(default_factory=list)

    async def load(self, page: Awaitable[Page]) -> Page:
        await self._look()
        loaded = await page
        await self._look()
        self.history.append(self.open)
        return loaded

    async def _look(self) -> None:
        if await android(self.air, GOOGLE, private_rule=True) is not Verdict.PORTAL:
            self.open = False


Sheet = AppleSheet | AndroidSheet


async def whole_set_up(sheet: Sheet, phone: Phone, station: FakeStation, password: str) -> Page:
    """The list, the form, the attempt, and what the phone finds when the attempt is over."""
    page = await sheet.load(phone.open("/"))
    page = await sheet.load(phone.follow(page, "Home-5G"))
    await sheet.load(phone.send(page, "/setup/join", password=password))
    await station.settle()
    return await sheet.load(phone.open("/progress"))


async def test_apples_button_is_done_after_the_last_page_and_cancel_before(
    air: Air, phone: Phone, station: FakeStation
) -> None:
    sheet = AppleSheet(air, phone)
    page = await whole_set_up(sheet, phone, station, "correct horse")
    assert (page.path, sheet.buttons) == ("/claim", ["Cancel", "Cancel", "Cancel", "Done"])


async def test_apples_button_stays_cancel_after_a_wrong_password(
    air: Air, phone: Phone, station: FakeStation
) -> None:
    sheet = AppleSheet(air, phone)
    page = await whole_set_up(sheet, phone, station, "wrong horse")
    assert "was not accepted" in page.text
    assert set(sheet.buttons) == {"Cancel"}


async def test_the_pages_own_updates_do_not_make_apples_button_done(
    air: Air, phone: Phone, station: FakeStation
) -> None:
    await station.show(RUNNING)
    for path in ("/api/status", "/health", "/metrics", "/static/portal.css"):
        await phone.open(path)
    assert await apple(air, APPLE) is Verdict.PORTAL


async def test_androids_sheet_stays_open_until_the_last_page_is_there(
    air: Air, phone: Phone, station: FakeStation
) -> None:
    sheet = AndroidSheet(air, phone)
    page = await whole_set_up(sheet, phone, station, "correct horse")
    assert (page.path, sheet.history) == ("/claim", [True, True, True, False])


async def test_androids_sheet_stays_open_after_a_wrong_password(
    air: Air, phone: Phone, station: FakeStation
) -> None:
    sheet = AndroidSheet(air, phone)
    await whole_set_up(sheet, phone, station, "wrong horse")
    assert sheet.open


Make = Callable[[Air, Phone], Sheet]


@pytest.mark.parametrize("make", [AppleSheet, AndroidSheet], ids=["Apple", "Android"])
async def test_a_second_try_in_the_same_sheet_ends_like_a_first_one(
    air: Air, phone: Phone, station: FakeStation, make: Make
) -> None:
    sheet = make(air, phone)
    failed = await whole_set_up(sheet, phone, station, "wrong horse")
    await sheet.load(phone.send(failed, "/setup/join", password="correct horse"))
    await station.settle()
    await sheet.load(phone.open("/progress"))
    if isinstance(sheet, AppleSheet):
        assert sheet.buttons[-2:] == ["Cancel", "Done"]
    else:
        assert sheet.history[-2:] == [True, False]
