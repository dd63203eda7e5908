"""A portal on a real port in front of a played station, and a phone without JavaScript."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from portal.fakes import STUCK_PHONES, FakeStation
from portal.server import create_app, serving
from portal.settings import PortalSettings
from tests.portal.phone import Phone


@pytest.fixture
def station() -> FakeStation:
    made = FakeStation()
    made.trails = {address: dict(steps) for address, steps in STUCK_PHONES.items()}
    return made


@pytest.fixture
def settings() -> PortalSettings:
    return PortalSettings(names=("meteor-kxpmvt.local",), pseudo_locales=True, stream_pulse=1.0)


@pytest.fixture
async def address(station: FakeStation, settings: PortalSettings) -> AsyncIterator[str]:
    async with serving(create_app(station, settings=settings), "127.0.0.1", 0) as base:
        yield base


@pytest.fixture
async def phone(address: str) -> AsyncIterator[Phone]:
    async with Phone(address) as browser:
        yield browser
