"""The real portal on loopback as phones on its hotspot meet it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from portal.fakes import FakeStation
from portal.server import create_app, serving
from portal.settings import PortalSettings
from tests.conformance.wire import Air


@pytest.fixture
def station() -> FakeStation:
    return FakeStation()


@pytest.fixture
def closed() -> Iterator[int]:
    """A port that is held and refuses: what the hotspot's port 443 does."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
async def portal(station: FakeStation) -> AsyncIterator[str]:
    app = create_app(station, settings=PortalSettings(names=("meteor-kxpmvt.local",)))
    async with serving(app, "127.0.0.1", 0) as base:
        yield base


@pytest.fixture
def air(portal: str, closed: int) -> Air:
    return Air(int(portal.rpartition(":")[2]), closed)
